"""Clips as arrays: colours, upright pictures, shrinking, and views for measuring."""
import struct

import av
import hostile
import numpy as np
import pytest
from videos import encode, levels

from tqd_jax.clips import read as video
from tqd_jax.clips.display import probe
from tqd_jax.clips.places import BadClip
from tqd_jax.clips.write import write_clip

FORMATS = [('libx264', 'yuv420p'), ('libx264', 'yuvj420p'), ('libx264', 'yuv444p'), ('libx264', 'yuv420p10le'), ('libx264rgb', 'rgb24'),
           ('ffv1', 'bgra')]


@pytest.mark.parametrize(('codec', 'pix_fmt'), FORMATS)
def test_colours_survive_every_pixel_format(tmp_path, codec, pix_fmt):
    path = str(tmp_path / 'clip.mkv')
    colours = np.array([[0, 0, 0], [255, 255, 255], [220, 40, 30], [30, 200, 60], [40, 60, 230]], np.uint8)
    encode(path, np.tile(colours[:, None, None], (1, 32, 32, 1)), codec, pix_fmt, options={'crf': '1'} if 'x264' in codec else {})
    np.testing.assert_allclose(video.read_clip(path, rate=10).frames.mean((1, 2)), colours, atol=4)


def test_gray_is_three_equal_channels(tmp_path):
    path = str(tmp_path / 'clip.avi')
    encode(path, levels(10), 'ffv1', 'gray')
    frames = video.read_clip(path, rate=10).frames
    np.testing.assert_array_equal(frames, levels(10))


def test_a_phone_clip_is_turned_upright(tmp_path):
    path = tmp_path / 'clip.mp4'
    frames = np.zeros((5, 32, 64, 3), np.uint8)
    frames[:, :, :16] = 255  # the left edge as stored
    write_clip(path, frames, 10)
    unit = 1 << 16
    identity, clockwise = (struct.pack('>9i', *m, 0, 0, 0, 1 << 30) for m in ((unit, 0, 0, 0, unit), (0, unit, 0, -unit, 0)))
    data = path.read_bytes()
    place = data.index(identity, data.index(b'tkhd'))
    path.write_bytes(data[:place] + clockwise + data[place + len(clockwise):])
    clip = video.read_clip(path, rate=10, short_side=16)
    assert clip.frames.shape == (5, 32, 16, 3)
    assert (clip.width, clip.height) == (32, 64) == (probe(path).width, probe(path).height)
    assert clip.frames[:, :8].mean() > 250 and clip.frames[:, 8:].mean() < 5  # clockwise, the left edge becomes the top


def test_shrinking_averages_areas_and_never_enlarges(tmp_path):
    path = tmp_path / 'clip.mkv'
    frames = np.random.default_rng(0).integers(0, 256, (4, 32, 64, 3), dtype=np.uint8)
    encode(str(path), frames, 'ffv1', 'bgra')
    blocks = frames.reshape(4, 8, 4, 16, 4, 3).mean((2, 4))
    np.testing.assert_allclose(video.read_clip(path, rate=10, short_side=8).frames, blocks, atol=0.51)
    np.testing.assert_array_equal(video.read_clip(path, rate=10, short_side=100).frames, frames)


@pytest.mark.parametrize(('start', 'count'), [(0.0, 20), (3.1, 20), (4.5, 15)])
def test_views_are_the_clips_frames_and_a_few_of_them_larger(tmp_path, start, count):
    path, size = str(tmp_path / 'clip.mkv'), (96, 144)
    ramp = np.linspace(0, 60, size[1])[None, None, :, None]
    encode(path, (levels(60, size) * 0.8 + ramp).astype(np.uint8), options={'g': '12'})
    clip, stills = video.read_views(path, rate=10, start=start, seconds=2, side=24, stills=4, still_side=48)
    whole = video.read_clip(path, rate=10, start=start, seconds=2, short_side=48)
    plain = video.read_clip(path, rate=10, start=start, seconds=2, short_side=24)
    assert clip.frames.shape == (count, 24, 36, 3) and stills.shape == (4, 48, 72, 3)
    np.testing.assert_array_equal(clip.times, plain.times)
    np.testing.assert_allclose(clip.frames, plain.frames.astype(float), atol=3)
    middles = ((np.arange(4) + 0.5) * count / 4).astype(int)  # of four equal parts
    np.testing.assert_array_equal(stills, whole.frames[middles])
    assert (clip.width, clip.height, clip.fps, clip.duration) == (plain.width, plain.height, plain.fps, plain.duration)


@pytest.mark.parametrize(('held', 'share'), [(1, 0.0), (2, 30 / 59), (3, 40 / 59), (60, 1.0)])
def test_views_tell_which_share_of_the_files_frames_repeat(tmp_path, held, share):
    path = str(tmp_path / 'clip.mkv')
    encode(path, hostile.textured(60)[np.arange(60) // held * held], rate=30)
    for rate in (10, 30):  # of the file's, whichever are shown
        clip, _ = video.read_views(path, rate=rate, seconds=9, side=24, stills=2, still_side=48)
        assert clip.repeated == pytest.approx(share, abs=0.02)
    assert video.read_clip(path, rate=10).repeated is None


def test_views_of_the_shortest_clips_and_of_clips_upright(tmp_path):
    encode(str(tmp_path / 'two.mkv'), levels(2, (96, 48)))
    clip, stills = video.read_views(tmp_path / 'two.mkv', rate=10, seconds=12, side=24, stills=8, still_side=540)
    assert clip.frames.shape == (2, 48, 24, 3) and stills.shape == (2, 96, 48, 3)
    with pytest.raises(BadClip, match='nothing to show at 2 s'):
        video.read_views(tmp_path / 'two.mkv', rate=10, start=2, seconds=1, side=24, stills=8, still_side=48)


def test_views_of_a_window_whose_pictures_end_early_are_at_least_one(tmp_path):
    path = tmp_path / 'clip.mkv'
    encode(str(path), hostile.textured(300), options={'g': '12', 'bf': '0'})
    with av.open(str(path)) as container:
        end = [packet.pos for packet in container.demux(video=0)][274]
    path.write_bytes(path.read_bytes()[:end])  # 27.4 of 30 s are left, which still passes for whole
    clip, stills = video.read_views(path, rate=10, start=27, seconds=3, side=24, stills=2, still_side=48)
    assert 3 <= len(clip.frames) <= 5 and len(stills) == 1
