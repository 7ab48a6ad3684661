"""Files that are no usable video: a plain reason for each, within limits, wherever they lie."""
import io
import os
import struct

import av
import cv2
import fsspec
import hostile
import numpy as np
import pytest
from videos import encode, levels

from tqd_jax.data import video
from tqd_jax.data.container import Limits
from tqd_jax.data.display import probe
from tqd_jax.data.places import BadClip


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


@pytest.mark.parametrize('name', BAD)
def test_bad_files_have_a_plain_reason(tmp_path, capfd, name):
    make, reason = BAD[name]
    path = tmp_path / name
    make(path)
    capfd.readouterr()
    with pytest.raises(BadClip, match=reason) as error:
        video.read_clip(path, rate=10)
    assert '\n' not in str(error.value)
    assert ''.join(capfd.readouterr()) == ''


def test_a_damaged_frame_is_replaced_by_the_one_before(tmp_path):
    path = tmp_path / 'clip.avi'
    encode(str(path), hostile.textured(30), 'mjpeg', 'yuvj420p')
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0)][10]
        data[packet.pos:packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(data)
    clip = video.read_clip(path, rate=10)
    assert len(clip.frames) == 30
    np.testing.assert_array_equal(clip.frames[10], clip.frames[9])


@pytest.mark.parametrize(('limits', 'reason'), [
    ({'max_frames': 5}, 'more than 5 frames'), ({'max_bytes': 50_000}, 'more than 50000 bytes'), ({'max_pixels': 1000}, '48x32')])
def test_limits_hold(tmp_path, limits, reason):
    path = tmp_path / 'clip.mp4'
    encode(str(path), levels(30))
    with pytest.raises(BadClip, match=reason):
        video.read_clip(path, rate=10, limits=Limits(**limits))


def test_frames_that_grow_on_the_way_are_not_decoded(tmp_path):
    path = tmp_path / 'clip.ts'
    parts = [io.BytesIO(), io.BytesIO()]
    for part, frames in zip(parts, (levels(20), levels(3, (320, 480))), strict=True):
        encode(part, frames, 'libx264', fmt='mpegts')
    path.write_bytes(parts[0].getvalue() + parts[1].getvalue())
    assert len(video.read_clip(path, rate=10).frames) == 23
    assert len(video.read_clip(path, rate=10, limits=Limits(max_pixels=48 * 32)).frames) == 20


def test_a_clip_is_read_from_where_it_is(tmp_path):
    encode(str(tmp_path / 'clip.mp4'), levels(10))
    system = fsspec.filesystem('memory')
    system.pipe_file('/clip.mp4', (tmp_path / 'clip.mp4').read_bytes())
    here, there = video.read_clip(tmp_path / 'clip.mp4', rate=10), video.read_clip('memory://clip.mp4', rate=10)
    np.testing.assert_array_equal(here.frames, there.frames)
    with pytest.raises(BadClip, match='more than 99 bytes to fetch'):
        probe('memory://clip.mp4', limits=Limits(max_fetched=99))


def test_impossible_arguments_are_the_callers_error(tmp_path):
    with pytest.raises(ValueError, match='rate 0'):
        video.read_clip(tmp_path / 'clip.mp4', rate=0)
    with pytest.raises(ValueError, match='max_frames'):
        Limits(max_frames=0)


def test_real_clips_all_read(real_clips):
    for path in sorted(real_clips.iterdir()):
        info = probe(path)
        clip = video.read_clip(path, rate=4, seconds=0.5, short_side=64)
        assert clip.frames.shape[0] == 2 and min(clip.frames.shape[1:3]) == 64
        assert (clip.width, clip.height, clip.fps, clip.duration) == (info.width, info.height, info.fps, info.duration)
