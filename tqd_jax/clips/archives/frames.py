"""Pictures as a clip: numbered files of a folder, or an animated WebP, become one temporary QuickTime file without a loss."""
import fractions
import io
import os
import re

import av
import cv2
import numpy as np

from tqd_jax.clips.archives.source import Unreadable

IMAGES = tuple('.jpg .jpeg .jpe .png .webp .bmp .tif .tiff .jp2 .ppm .pgm .avif'.split())
AS_THEY_ARE = {b'\xff\xd8\xff': 'jpeg_pipe', b'\x89PNG': 'png_pipe'}  # files that are frames of a codec of libav's
RATE = 24.0  # frames a second of numbered files, which have no times
TICK = fractions.Fraction(1, 12_000)  # s; the usual rates divide it
NUMBERED = re.compile(r'(.*?)(\d+)(\D*)', re.DOTALL)


def series_of(names):
    """The names of pictures in the order of their numbers where all differ in the last number alone; None where they are no series."""
    numbers, kinds = {}, set()
    for name in names:
        stem, ending = os.path.splitext(name)
        found = NUMBERED.fullmatch(stem)
        kinds.add((found[1], found[3], ending.lower()) if found else name)
        if len(kinds) > 1 or not found:
            return None
        numbers[name] = int(found[2])
    return sorted(numbers, key=lambda name: (numbers[name], name)) if len(numbers) > 1 else None


def pack(pictures, seconds, path):
    """Writes pictures, an iterable of the bytes of whole files, to a QuickTime file at `path`, each on display for seconds(its number).

    JPEG and PNG are copied; what else OpenCV reads becomes PNG. In place of one that cannot be read the one before stays on display.
    Raises Unreadable where the first cannot be read.
    """
    time, stream = 0.0, None
    with av.open(path, 'w', format='mov', options={'fflags': '+bitexact'}) as out:  # one content has one id
        for number, data in enumerate(pictures):
            start, time = time, time + seconds(number)
            data = data if _form(data) else _png(data)
            if stream is None:
                stream = _stream(out, data)
            if data:
                out.mux(_packet(data, stream, start, time))


def _packet(data, stream, start, end):
    packet = av.Packet(data)
    packet.stream, packet.time_base, packet.is_keyframe = stream, TICK, True
    packet.pts = packet.dts = round(start / TICK)
    packet.duration = max(1, round(end / TICK) - packet.pts)
    return packet


def _form(data):
    return next((form for magic, form in AS_THEY_ARE.items() if data.startswith(magic)), None)


def _stream(out, data):
    try:
        with av.open(io.BytesIO(data), format=_form(data)) as first:
            stream = out.add_stream_from_template(first.streams.video[0])
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise Unreadable(f'its first picture cannot be read ({error})') from None
    stream.time_base = TICK
    return stream


def _png(data):
    """A picture as PNG; nothing where it cannot be read."""
    try:
        return png_of(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED))
    except cv2.error:
        return b''


def png_of(picture):
    """The bytes of a PNG of what OpenCV decoded. Raises cv2.error where there is nothing."""
    return cv2.imencode('.png', picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
