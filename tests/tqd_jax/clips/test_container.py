"""Files that are no usable video: a plain reason for each, within limits, wherever they lie."""
import io

import av
import fsspec
import hostile
import numpy as np
import pytest
from bad_clips import BAD
from videos import encode, levels

from tqd_jax.clips import read as video
from tqd_jax.clips.container import Limits
from tqd_jax.clips.display import probe
from tqd_jax.clips.places import BadClip


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
