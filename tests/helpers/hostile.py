"""The clips that people really have: one small file for each way in which a file goes wrong or is merely unusual."""
import fractions
import functools
import io
import os
import pathlib
import struct
import tempfile
import wave

import av
import cv2
import numpy as np

SIZE = (48, 64)


def textured(count=12, size=SIZE):
    """Frames uint8 [count, *size, 3]: a smooth random texture that moves two pixels a frame."""
    still = cv2.GaussianBlur(np.random.default_rng(0).uniform(0, 255, (*size, 3)).astype(np.float32), (0, 0), 2)
    still = cv2.normalize(still, None, 0, 255, cv2.NORM_MINMAX)
    return np.stack([np.roll(still, 2 * i, axis=1) for i in range(count)]).astype(np.uint8)


def encode(file, frames, codec='libx264', pix_fmt='yuv420p', *, rate=10, pts=None, fmt=None, keep=lambda number: True, options=None,
           facts=None, muxer=None):
    """Writes a video with PyAV. pts: in ms. keep: which packets, by number, go into the file. facts: what its codec says of the colours."""
    with av.open(file, 'w', format=fmt, options=muxer or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], pix_fmt
        for name, value in (facts or {}).items():
            setattr(stream.codec_context, name, value)
        if pts is not None:
            stream.codec_context.time_base = fractions.Fraction(1, 1000)
        packets = []
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format={2: 'gray', 3: 'rgb24'}[frame.ndim])
            picture.pts = number if pts is None else int(pts[number])
            picture.time_base = fractions.Fraction(1, rate) if pts is None else fractions.Fraction(1, 1000)
            packets += stream.encode(picture)
        for number, packet in enumerate(packets + stream.encode()):
            if keep(number):
                container.mux(packet)


def encoded(frames, fmt, *arguments, **options):
    """The bytes of a file that `encode` writes."""
    with tempfile.NamedTemporaryFile() as file:  # some muxers read again what they wrote
        encode(file.name, frames, *arguments, fmt=fmt, **options)
        return pathlib.Path(file.name).read_bytes()


def patched(data, old, new):
    """The bytes with the one occurrence of `old` replaced."""
    if data.count(old) != 1:
        raise ValueError(f'{old!r} is there {data.count(old)} times')
    return data.replace(old, new)


def rotated(data):
    """An mp4's bytes with a display matrix of a quarter turn."""
    unit = 1 << 16
    upright, turned = (struct.pack('>9i', *matrix, 0, 0, 0, 1 << 30) for matrix in ((unit, 0, 0, 0, unit), (0, unit, 0, -unit, 0)))
    place = data.index(upright, data.index(b'tkhd'))
    return data[:place] + turned + data[place + len(turned):]


def of_duration(data, seconds):
    """An mp4's bytes whose header and index say that its frames last `seconds` together."""
    media = data.index(b'mdhd')
    scale = struct.unpack_from('>I', data, media + 16)[0]
    table = data.index(b'stts')
    entries, count = struct.unpack_from('>II', data, table + 8)
    if entries != 1:
        raise ValueError(f'the frames have {entries} durations')
    data = bytearray(data)
    struct.pack_into('>I', data, media + 20, int(seconds * scale))
    struct.pack_into('>I', data, table + 16, int(seconds * scale / count))
    return bytes(data)


def damaged(data, start=0.4, end=0.6):
    """The bytes with a stretch of the middle overwritten by noise."""
    first, last = int(start * len(data)), int(end * len(data))
    return data[:first] + np.random.default_rng(0).bytes(last - first) + data[last:]


def half(data):
    """The first half of the bytes."""
    return data[:len(data) // 2]


def with_sound(picture):
    """An m4a's bytes, with a picture of its cover where asked."""
    file = io.BytesIO()
    with av.open(file, 'w', format='mp4') as container:
        sound = container.add_stream('aac', rate=44_100)
        cover = container.add_stream('mjpeg', rate=1, width=64, height=48, pix_fmt='yuvj420p') if picture else None
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44_100), np.float32), format='fltp', layout='mono')
        frame.rate = 44_100
        container.mux(sound.encode(frame) + sound.encode())
        if picture:
            container.mux(cover.encode(av.VideoFrame.from_ndarray(textured(1)[0], format='rgb24')) + cover.encode())
    return file.getvalue()


def raw_avi(width, height):
    """A small avi of raw frames whose header says that they are so large."""
    honest, claim = struct.pack('<Iii', 40, 64, -48), struct.pack('<Iii', 40, width, height)
    return patched(encoded(textured(5), 'avi', 'rawvideo', 'bgr24'), honest, claim)


def wav():
    file = io.BytesIO()
    with wave.open(file, 'wb') as sound:
        sound.setparams((1, 2, 8000, 0, 'NONE', ''))
        sound.writeframes(bytes(16_000))
    return file.getvalue()


def lasting(text):
    """A mkv's bytes whose DURATION tag says `text`."""
    data = encoded(textured(), 'matroska')
    place = data.index(b'00:00:01.2')
    return data[:place] + text.encode().ljust(18, b'\0') + data[place + 18:]


H264 = functools.partial(encoded, codec='libx264', options={'g': '5', 'preset': 'ultrafast'})
TS = functools.partial(encoded, fmt='mpegts', codec='mpeg2video')
HDR = {'color_primaries': 9, 'colorspace': 9, 'color_range': 1}  # BT.2020
SLOW = {'use_editlist': '0', 'video_track_timescale': '10'}
RAW = functools.partial(encoded, codec='rawvideo')

FILES = {  # name: (whether it is scored, its bytes or what makes the file at a path)
    'plain.mp4': (True, lambda: H264(textured(), 'mp4')),
    'spaces, commas, = and 100%25 #1 [x] (ü, 日本, 🎬).mp4': (True, lambda: H264(textured(), 'mp4')),
    os.fsdecode(b'not utf-8: \xff\xfe.mp4'): (True, lambda: H264(textured(), 'mp4')),
    'a\nline.mp4': (True, lambda: H264(textured(), 'mp4')),
    'UPPER.MP4': (True, lambda: H264(textured(), 'mp4')),
    'no ending': (True, lambda: H264(textured(), 'mp4')),
    'a mkv, really.mp4': (True, lambda: H264(textured(), 'matroska')),
    'one a second.mp4': (True, lambda: H264(textured(4), 'mp4', rate=1)),
    'a thousand a second.mkv': (True, lambda: H264(textured(100), 'matroska', rate=1000)),
    'variable rate.mkv': (True, lambda: H264(textured(), 'matroska', pts=np.cumsum([1, 3, 900, 2, 5, 40, 40, 700, 9, 1, 80, 33]))),
    'a pause of a day.mkv': (True, lambda: H264(textured(4), 'matroska', pts=[0, 100, 86_400_000, 86_400_100])),
    'odd sizes.mp4': (True, lambda: H264(textured(size=(47, 63)), 'mp4', pix_fmt='yuv444p')),
    'wide.mkv': (True, lambda: encoded(textured(5, (16, 300)), 'matroska', 'ffv1', 'bgra')),
    '10 bits.mkv': (True, lambda: H264(textured(), 'matroska', pix_fmt='yuv420p10le')),
    '12 bits.mov': (True, lambda: encoded(textured(), 'mov', 'prores_ks', 'yuv444p10le')),
    'hevc.mp4': (True, lambda: encoded(textured(size=(64, 64)), 'mp4', 'libx265', options={'x265-params': 'log-level=none:pools=1'})),
    'whole colour.mp4': (True, lambda: H264(textured(), 'mp4', pix_fmt='yuv444p')),
    'alpha.mov': (True, lambda: encoded(textured(), 'mov', 'qtrle', 'argb')),
    'alpha.webm': (True, lambda: encoded(textured(), 'webm', 'libvpx-vp9', 'yuva420p', options={'cpu-used': '8'})),
    'palette.gif': (True, lambda: encoded(textured(), 'gif', 'gif', 'rgb8')),
    'gray.avi': (True, lambda: encoded(textured(), 'avi', 'ffv1', 'gray')),
    'gray of 16 bits.mkv': (True, lambda: encoded(textured(), 'matroska', 'ffv1', 'gray16le')),
    'one bit.avi': (True, lambda: RAW(textured(), 'avi', pix_fmt='monow')),
    'pq.mkv': (True, lambda: H264(textured(), 'matroska', pix_fmt='yuv420p10le', facts=HDR | {'color_trc': 16})),
    'hlg.mkv': (True, lambda: H264(textured(), 'matroska', pix_fmt='yuv420p10le', facts=HDR | {'color_trc': 18})),
    'rotated.mp4': (True, lambda: rotated(H264(textured(), 'mp4'))),
    'interlaced.mpg': (True, lambda: encoded(textured(size=(64, 64)), 'mpeg', 'mpeg2video', rate=25, options={'flags': '+ilme+ildct'})),
    'black.mp4': (True, lambda: H264(textured() * 0, 'mp4')),
    'size changes.ts': (True, lambda: TS(textured()) + TS(textured(size=(96, 128)))),
    'grows huge.ts': (True, lambda: H264(textured(), 'mpegts') + H264(np.zeros((1, 4352, 8192), np.uint8), 'mpegts')),
    'starts anew.ts': (True, lambda: 2 * TS(textured())),
    'first frames missing.mkv': (True, lambda: encoded(textured(24), 'matroska', 'libx264', keep=lambda n: n > 3, options={'g': '8'})),
    'no key frame.mkv': (False, lambda: encoded(textured(), 'matroska', 'libx264', keep=lambda n: n > 0)),
    'no times.avi': (True, lambda: encoded(textured(30), 'avi', 'libx264', options={'bf': '3'})),
    'no times.m2v': (True, lambda: encoded(textured(), 'mpeg2video', 'mpeg2video', rate=25)),
    'negative times.mkv': (True, lambda: H264(textured(), 'matroska', pts=100 * np.arange(-6, 6))),
    'negative times.mp4': (True, lambda: H264(textured(), 'mp4', pts=100 * np.arange(-6, 6), muxer={'avoid_negative_ts': 'disabled'})),
    'all at once.mkv': (True, lambda: H264(textured(3), 'matroska', pts=[0, 0, 0])),
    'damaged.mp4': (True, lambda: damaged(H264(textured(), 'mp4', muxer={'movflags': 'faststart'}), 0.5)),
    'damaged.mkv': (True, lambda: damaged(H264(textured(), 'matroska'))),
    'damaged.avi': (True, lambda: damaged(encoded(textured(), 'avi', 'mjpeg', 'yuvj420p'), 0.5, 0.52)),
    'damaged.ts': (True, lambda: damaged(TS(textured()))),
    'truncated.mp4': (False, lambda: half(H264(textured(), 'mp4'))),
    'truncated after its index.mp4': (False, lambda: half(H264(textured(), 'mp4', muxer={'movflags': 'faststart'}))),
    'truncated.mkv': (False, lambda: half(H264(textured(), 'matroska'))),
    'truncated.avi': (False, lambda: half(encoded(textured(), 'avi', 'mjpeg', 'yuvj420p'))),
    'truncated.ts': (True, lambda: half(TS(textured(60)))),
    'truncated.gif': (True, lambda: half(encoded(textured(), 'gif', 'gif', 'rgb8'))),
    'lasts for ever.mp4': (False, lambda: of_duration(H264(textured(), 'mp4', muxer=SLOW), 3e6)),
    'lasts no time.mp4': (False, lambda: of_duration(H264(textured(), 'mp4'), 0)),
    'lasts for ever.mkv': (False, lambda: lasting('277777777:46:40.00')),
    'unknown codec.avi': (False, lambda: encoded(textured(), 'avi', 'mjpeg', 'yuvj420p').replace(b'MJPG', b'XY9Z')),
    'cover.m4a': (False, lambda: with_sound(True)),
    'sound.mp4': (False, lambda: with_sound(False)),
    'sound.avi': (False, wav),
    'one frame.gif': (False, lambda: encoded(textured(1), 'gif', 'gif', 'rgb8')),
    '8K still.mp4': (False, lambda: H264(np.zeros((1, 4320, 7680), np.uint8), 'mp4')),
    '8K.mp4': (True, lambda: H264(np.zeros((1, 4320, 7680), np.uint8)[[0, 0]], 'mp4')),
    'dot.mkv': (False, lambda: encoded(textured(5, (1, 1)), 'matroska', 'ffv1', 'bgra')),
    'five by three.mkv': (False, lambda: encoded(textured(5, (3, 5)), 'matroska', 'ffv1', 'bgra')),
    'a line of pixels.mkv': (False, lambda: encoded(textured(5, (8, 4000)), 'matroska', 'ffv1', 'bgra')),
    'absurd.avi': (False, lambda: raw_avi(2_000_000_000, 2_000_000_000)),
    'says 8K.avi': (False, lambda: raw_avi(7680, -4320)),
    'empty.mp4': (False, lambda: b''),
    'one byte.mp4': (False, lambda: b'\0'),
    'text.mp4': (False, lambda: b'not a video\n' * 500),
    'page.mp4': (False, lambda: b'<!DOCTYPE html><html><title>404 Not Found</title></html>\n'),
    'source.ts': (False, lambda: b'export const answer: number = 42;\n' * 100),
    'noise.mkv': (False, lambda: np.random.default_rng(0).bytes(50_000)),
    'zeros.mpg': (False, lambda: bytes(1_000_000)),
    'sync bytes.ts': (False, lambda: b'\x47'.ljust(188, b'\xff') * 2000),
    'picture.mp4': (False, lambda: cv2.imencode('.jpg', textured(1)[0])[1].tobytes()),
    'list.mp4': (False, lambda: b'ffconcat version 1.0\nfile plain.mp4\n'),
    'playlist.mp4': (False, lambda: b'#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nplain.mp4\n#EXT-X-ENDLIST\n'),
    'pipe.mp4': (False, lambda: os.mkfifo),
    'folder.mp4': (False, lambda: os.mkdir),
    'loop.mp4': (False, lambda: lambda path: os.symlink(os.path.basename(path), path)),
    'to nowhere.mp4': (False, lambda: functools.partial(os.symlink, '/nowhere')),
    'device.mp4': (False, lambda: functools.partial(os.symlink, '/dev/zero')),
    'link.mp4': (True, lambda: functools.partial(os.symlink, 'plain.mp4')),
    'locked.mp4': (os.geteuid() == 0, lambda: lambda path: (pathlib.Path(path).write_bytes(H264(textured(), 'mp4')), os.chmod(path, 0))),
}


def write_hostile(folder):
    """Writes every file of FILES into an existing folder. Returns {path: whether it must be scored}."""
    expected = {}
    for name, (scored, make) in FILES.items():
        path, made = os.path.join(folder, name), make()
        if callable(made):
            made(path)
        else:
            pathlib.Path(path).write_bytes(made)
        expected[path] = scored
    return expected
