"""Files that are no usable videos, and the reasons that are expected of them."""
import os
import struct

import av
import cv2
import hostile
import numpy as np
from videos import encode, levels


def sound(path):
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('aac', rate=44_100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44_100), np.float32), format='fltp', layout='mono')
        frame.rate = 44_100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def claims_size(path, width, height):
    """A small AVI whose header says that it is huge."""
    encode(str(path), levels(5), 'rawvideo', 'bgr24')
    data = path.read_bytes()
    honest, claim = struct.pack('<Iii', 40, 48, -32), struct.pack('<Iii', 40, width, height)
    assert data.count(honest) == 1
    path.write_bytes(data.replace(honest, claim))


def half(path, suffix, **options):
    whole = path.with_name(f'whole.{suffix}')
    encode(str(whole), np.random.default_rng(0).integers(0, 256, (30, 48, 64, 3), dtype=np.uint8), **options)
    path.write_bytes(whole.read_bytes()[:whole.stat().st_size // 2])


def no_frames(path):
    with av.open(str(path), 'w', options={'movflags': 'empty_moov'}) as container:
        stream = container.add_stream('libx264', rate=10)
        stream.height, stream.width, stream.pix_fmt = 32, 48, 'yuv420p'
        container.start_encoding()


BAD = {
    'missing.mp4': (lambda path: None, 'No such file'),
    'loop.mp4': (lambda path: path.symlink_to(path), 'cannot be read'),
    'folder.mp4': (lambda path: path.mkdir(), 'not a file'),
    'pipe.mp4': (os.mkfifo, 'not a file'),
    'empty.mp4': (lambda path: path.write_bytes(b''), 'empty file'),
    'text.mp4': (lambda path: path.write_text('not a video\n' * 500), 'not a video'),
    'noise.mkv': (lambda path: path.write_bytes(np.random.default_rng(0).bytes(50_000)), 'not a video'),
    'picture.mp4': (lambda path: path.write_bytes(cv2.imencode('.png', hostile.textured(1)[0])[1].tobytes()), 'not a video'),
    'playlist.mp4': (lambda path: path.write_text('ffconcat version 1.0\nfile other.mp4\n'), 'not a video'),
    'sound.mp4': (sound, 'only sound'),
    'none.mp4': (no_frames, 'not one frame'),
    'one.mp4': (lambda path: encode(str(path), levels(1)), 'a single frame'),
    'thin.mp4': (lambda path: encode(str(path), levels(5, (8, 168))), 'more than 20 times'),
    'ages.mp4': (lambda path: path.write_bytes(hostile.FILES['lasts for ever.mp4'][1]()), 'lasts 3000000 s, more than 1000000'),
    'unknown.avi': (lambda path: path.write_bytes(hostile.FILES['unknown codec.avi'][1]()), 'its codec is not known'),
    'dot.mp4': (lambda path: encode(str(path), levels(5, (1, 1)), pix_fmt='yuv444p'), 'frames of 1x1 pixels'),
    'wide.avi': (lambda path: claims_size(path, 30_000, 20_000), 'more than 35389440 pixels'),
    'absurd.avi': (lambda path: claims_size(path, 2_000_000_000, 2_000_000_000), 'more than 35389440 pixels'),
    'head.mp4': (lambda path: half(path, 'mp4'), 'cut off'),
    'tail.mp4': (lambda path: half(path, 'mp4', movflags='faststart'), 'truncated'),
    'tail.mkv': (lambda path: half(path, 'mkv'), 'truncated: frames end at'),
    'tail.webm': (lambda path: half(path, 'webm', codec='libvpx'), 'truncated: frames end at'),
}
