"""Files that are a picture or a film, told apart by their first bytes; and an animated WebP as a video, which libav does not decode."""
import os
import struct

import cv2

from tqd_jax.clips.archives.frames import pack, png_of
from tqd_jax.clips.archives.source import Unreadable

EITHER = ('.webp', '.png', '.avif')  # endings of both
HEAD = 1 << 14  # bytes that tell: a PNG says so before its pixels, but after its colour profile
SHORTEST, USUAL = 0.010, 0.100  # s; a picture of no longer stays for the other, as browsers have it


def is_animated(head):
    """Whether the first HEAD bytes of a file are of an animated WebP, PNG or AVIF."""
    if is_animated_webp(head):
        return True
    if head.startswith(b'\x89PNG'):
        return b'acTL' in head.partition(b'IDAT')[0]
    return head[4:8] == b'ftyp' and b'avis' in head[8:8 + 64]


def is_animated_webp(head):
    """Whether the first bytes of a file are of an animated WebP."""
    return head[:4] == b'RIFF' and head[8:16] == b'WEBPVP8X' and bool(head[20] & 2)


def is_still_webp(head):
    """Whether the first bytes of a file are of a WebP of one picture."""
    return head[:4] == b'RIFF' and head[8:12] == b'WEBP' and not is_animated_webp(head)


def write_webp(path, out, max_bytes):
    """Writes an animated WebP as a QuickTime file at `out`. Raises Unreadable where it is damaged, or more than max_bytes when decoded."""
    count, width, height = _sizes(path)
    if 4 * count * width * height > max_bytes:
        raise Unreadable(f'more than {max_bytes} bytes decoded: {count} frames of {width}x{height} pixels; make it a video')
    try:
        good, film = cv2.imreadanimation(os.fspath(path))
    except cv2.error as error:
        raise Unreadable(f'a damaged WebP ({error.err})') from None
    if not good:
        raise Unreadable('a damaged WebP')
    seconds = [duration / 1000 if duration / 1000 > SHORTEST else USUAL for duration in film.durations]
    pack(map(png_of, film.frames), lambda number: float(seconds[number]), out)


def _sizes(path):
    """(frames, width, height) of an animated WebP by its chunks."""
    count, place, end = 0, 12, os.path.getsize(path)
    with open(path, 'rb') as file:
        head = file.read(30)
        while place + 8 <= end:
            file.seek(place)
            name, size = struct.unpack('<4sI', file.read(8))
            count += name == b'ANMF'
            place += 8 + size + size % 2
    if place > end:
        raise Unreadable('truncated: the file ends before its last frames')
    return count, 1 + int.from_bytes(head[24:27], 'little'), 1 + int.from_bytes(head[27:30], 'little')
