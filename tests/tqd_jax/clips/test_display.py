"""Which frame of a video is on display when: every container, any start, variable rates, broken timestamps."""
import io

import av
import numpy as np
import pytest
from videos import encode, levels, numbers

from tqd_jax.clips import read as video
from tqd_jax.clips.display import probe
from tqd_jax.clips.places import BadClip

CONTAINERS = [('mp4', 'libx264', 'yuv420p'), ('mov', 'libx264', 'yuv420p'), ('mkv', 'libx264', 'yuv420p'), ('avi', 'libx264', 'yuv420p'),
              ('webm', 'libvpx', 'yuv420p'), ('webm', 'libvpx-vp9', 'yuv420p'), ('gif', 'gif', 'rgb8'), ('ts', 'libx264', 'yuv420p')]


@pytest.mark.parametrize(('suffix', 'codec', 'pix_fmt'), CONTAINERS)
@pytest.mark.parametrize('start', [0.0, 1.0, 4.5])
def test_every_container_shows_the_frame_of_the_moment(tmp_path, suffix, codec, pix_fmt, start):
    path = str(tmp_path / f'clip.{suffix}')
    frames = levels(60)
    if codec == 'gif':  # its palette has few grays: black, and white from the thirtieth on
        frames = np.where(np.arange(60)[:, None, None, None] < 30, frames * 0, frames * 0 + 255)
    encode(path, frames, codec, pix_fmt, options={'g': '12', 'crf': '10'} if codec != 'gif' else {})
    clip = video.read_clip(path, rate=5, start=start, seconds=1)
    expected = np.round(start * 10).astype(int) + 2 * np.arange(5)
    np.testing.assert_allclose(clip.times, expected / 10, atol=2e-3)
    np.testing.assert_allclose(clip.frames.mean((1, 2, 3)), frames[expected].mean((1, 2, 3)), atol=2)
    assert (clip.width, clip.height) == (48, 32)
    assert clip.fps == pytest.approx(10, rel=0.02)
    assert clip.duration == pytest.approx(6, rel=0.02)


OLDER = [('mpg', 'mpeg2video', 25), ('vob', 'mpeg2video', 25), ('m2v', 'mpeg2video', 25), ('mpg', 'mpeg1video', 25), ('m2ts', 'h264', 25),
         ('mxf', 'mpeg2video', 25), ('flv', 'flv', 10), ('wmv', 'wmv2', 10), ('asf', 'msmpeg4', 10), ('ogv', 'libvpx', 10),
         ('rm', 'rv20', 10), ('3gp', 'h263', 10), ('m4v', 'mpeg4', 10), ('y4m', 'wrapped_avframe', 10)]
FAST = {'libvpx': {'deadline': 'realtime', 'cpu-used': '8', 'b': '4M'}, 'wrapped_avframe': {}}


@pytest.mark.parametrize(('suffix', 'codec', 'rate'), OLDER)
@pytest.mark.parametrize('start', [0.0, 2.2])
def test_older_containers_do_so_too(tmp_path, suffix, codec, rate, start):
    path, noise = str(tmp_path / f'clip.{suffix}'), np.random.default_rng(0).integers(-9, 10, (144, 176, 3))
    frames = (levels(60, (144, 176)) + noise).astype(np.uint8)  # a program stream's times are those of frames of some size
    encode(path, frames, codec, rate=rate, options=FAST.get(codec, {'g': '12', 'qmin': '2', 'qmax': '2'}))
    clip = video.read_clip(path, rate=5, start=start, seconds=0.6)
    expected = np.round(start * rate).astype(int) + rate // 5 * np.arange(len(clip.times))
    np.testing.assert_allclose(clip.times, expected / rate, atol=2e-3)
    np.testing.assert_allclose(clip.frames.mean((1, 2, 3)), levels(60)[expected].mean((1, 2, 3)), atol=2)
    assert clip.fps == pytest.approx(rate, rel=0.02) and clip.duration == pytest.approx(60 / rate, rel=0.05)


def test_a_matroska_file_may_start_at_any_time(tmp_path):
    path = str(tmp_path / 'clip.mkv')
    encode(path, levels(20), ticks=100 * np.arange(20) + 50_000)
    clip = video.read_clip(path, rate=10)
    assert numbers(clip).tolist() == list(range(20)) and clip.duration == pytest.approx(2)


@pytest.mark.parametrize('rate', [1.5, 8.0, 50.0])
@pytest.mark.parametrize('start', [0.0, 0.7, 3.1])
def test_variable_frame_rate_goes_by_presentation_time(tmp_path, rate, start):
    ticks = np.cumsum(np.random.default_rng(1).integers(10, 200, 50)) + 500
    path = str(tmp_path / 'clip.mkv')
    encode(path, levels(50), ticks=ticks, options={'g': '10'})
    clip = video.read_clip(path, rate=rate, start=start, seconds=1.2)
    arrivals = (ticks - ticks[0]) / 1000
    targets = start + np.arange(round(1.2 * rate)) / rate
    on_display = np.searchsorted(arrivals, targets + 1e-6, side='right') - 1
    assert (numbers(clip) == on_display).mean() > 0.98  # a target within a millisecond of a change may go either way
    np.testing.assert_allclose(clip.times, arrivals[numbers(clip)], atol=2e-3)


def test_a_window_ends_with_the_video(tmp_path):
    path = str(tmp_path / 'clip.mp4')
    encode(path, levels(20))
    assert numbers(video.read_clip(path, rate=10)).tolist() == list(range(20))
    assert numbers(video.read_clip(path, rate=10, start=1.5, seconds=9)).tolist() == [15, 16, 17, 18, 19]
    with pytest.raises(BadClip, match=r'nothing to show at 2 s: it lasts 2\.00 s'):
        video.read_clip(path, rate=10, start=2)


def test_thirty_frames_a_second_in_milliseconds_neither_repeats_nor_skips(tmp_path):
    path = str(tmp_path / 'clip.mkv')
    encode(path, levels(60), rate=30)
    assert numbers(video.read_clip(path, rate=30)).tolist() == list(range(60))


def test_timestamps_that_start_anew_still_go_forward(tmp_path):
    stream = io.BytesIO()
    encode(stream, levels(20), 'mpeg2video', fmt='mpegts', options={'qmin': '1', 'qmax': '1'})
    path = tmp_path / 'clip.ts'
    path.write_bytes(stream.getvalue() * 2)
    clip = video.read_clip(str(path), rate=10)
    assert (np.diff(clip.times) >= 0).all()
    np.testing.assert_array_equal(np.unique(numbers(clip)[20:]), np.arange(20))


def test_probe_counts_packets_where_the_header_is_silent(tmp_path):
    path = str(tmp_path / 'clip.webm')
    encode(path, levels(30), 'libvpx', live='1')
    with av.open(path) as container:
        assert container.duration is None
    info = probe(path)
    assert (info.width, info.height) == (48, 32)
    assert (info.fps, info.duration) == (pytest.approx(10), pytest.approx(3))
