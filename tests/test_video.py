"""Video files: which frame is on display when, colours, shapes, seeking, and a plain reason for each bad file."""
import fractions
import io
import os
import struct

import av
import cv2
import fsspec
import hostile
import numpy as np
import pytest

from tqd_jax.data import video
from tqd_jax.data.write import write_clip

BASE, STEP = 20, 3  # frame number i is a flat picture of level BASE + STEP i


def levels(count, size=(32, 48)):
    return np.broadcast_to((BASE + STEP * np.arange(count, dtype=np.uint8))[:, None, None, None], (count, *size, 3))


def numbers(clip):
    return ((clip.frames.mean((1, 2, 3)) - BASE) / STEP).round().astype(int)


def encode(file, frames, codec='libx264', pix_fmt='yuv420p', rate=10, ticks=None, fmt=None, options=None, **container_options):
    """Writes with PyAV; `ticks` are presentation times in milliseconds."""
    with av.open(file, 'w', format=fmt, options=container_options) as container:
        stream = container.add_stream(codec, rate=rate, options={'crf': '1'} | (options or {}) if 'x264' in codec else options or {})
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], pix_fmt
        if ticks is not None:
            stream.codec_context.time_base = fractions.Fraction(1, 1000)
        for i, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format='rgb24')
            if ticks is not None:
                picture.pts, picture.time_base = int(ticks[i]), fractions.Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


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
    with pytest.raises(video.BadClip, match=r'nothing to show at 2 s: it lasts 2\.00 s'):
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
    assert (clip.width, clip.height) == (32, 64) == (video.probe(path).width, video.probe(path).height)
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
    clip, looks = video.read_views(path, rate=10, start=start, seconds=2, side=24, looks=4, look_side=48)
    whole = video.read_clip(path, rate=10, start=start, seconds=2, short_side=48)
    plain = video.read_clip(path, rate=10, start=start, seconds=2, short_side=24)
    assert clip.frames.shape == (count, 24, 36, 3) and looks.shape == (4, 48, 72, 3)
    np.testing.assert_array_equal(clip.times, plain.times)
    np.testing.assert_allclose(clip.frames, plain.frames.astype(float), atol=3)
    middles = ((np.arange(4) + 0.5) * count / 4).astype(int)  # of four equal parts
    np.testing.assert_array_equal(looks, whole.frames[middles])
    assert (clip.width, clip.height, clip.fps, clip.duration) == (plain.width, plain.height, plain.fps, plain.duration)


@pytest.mark.parametrize(('held', 'share'), [(1, 0.0), (2, 30 / 59), (3, 40 / 59), (60, 1.0)])
def test_views_tell_which_share_of_the_files_frames_repeat(tmp_path, held, share):
    path = str(tmp_path / 'clip.mkv')
    encode(path, hostile.textured(60)[np.arange(60) // held * held], rate=30)
    for rate in (10, 30):  # of the file's, whichever are shown
        clip, _ = video.read_views(path, rate=rate, seconds=9, side=24, looks=2, look_side=48)
        assert clip.repeated == pytest.approx(share, abs=0.02)
    assert video.read_clip(path, rate=10).repeated is None


def test_views_of_the_shortest_clips_and_of_clips_upright(tmp_path):
    encode(str(tmp_path / 'two.mkv'), levels(2, (96, 48)))
    clip, looks = video.read_views(tmp_path / 'two.mkv', rate=10, seconds=12, side=24, looks=8, look_side=540)
    assert clip.frames.shape == (2, 48, 24, 3) and looks.shape == (2, 96, 48, 3)
    with pytest.raises(video.BadClip, match='nothing to show at 2 s'):
        video.read_views(tmp_path / 'two.mkv', rate=10, start=2, seconds=1, side=24, looks=8, look_side=48)


def test_views_of_a_window_whose_pictures_end_early_are_at_least_one(tmp_path):
    path = tmp_path / 'clip.mkv'
    encode(str(path), hostile.textured(300), options={'g': '12', 'bf': '0'})
    with av.open(str(path)) as container:
        end = [packet.pos for packet in container.demux(video=0)][274]
    path.write_bytes(path.read_bytes()[:end])  # 27.4 of 30 s are left, which still passes for whole
    clip, looks = video.read_views(path, rate=10, start=27, seconds=3, side=24, looks=2, look_side=48)
    assert 3 <= len(clip.frames) <= 5 and len(looks) == 1


def test_probe_counts_packets_where_the_header_is_silent(tmp_path):
    path = str(tmp_path / 'clip.webm')
    encode(path, levels(30), 'libvpx', live='1')
    with av.open(path) as container:
        assert container.duration is None
    info = video.probe(path)
    assert (info.width, info.height) == (48, 32)
    assert (info.fps, info.duration) == (pytest.approx(10), pytest.approx(3))


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
    with pytest.raises(video.BadClip, match=reason) as error:
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
    with pytest.raises(video.BadClip, match=reason):
        video.read_clip(path, rate=10, limits=video.Limits(**limits))


def test_frames_that_grow_on_the_way_are_not_decoded(tmp_path):
    path = tmp_path / 'clip.ts'
    parts = [io.BytesIO(), io.BytesIO()]
    for part, frames in zip(parts, (levels(20), levels(3, (320, 480))), strict=True):
        encode(part, frames, 'libx264', fmt='mpegts')
    path.write_bytes(parts[0].getvalue() + parts[1].getvalue())
    assert len(video.read_clip(path, rate=10).frames) == 23
    assert len(video.read_clip(path, rate=10, limits=video.Limits(max_pixels=48 * 32)).frames) == 20


def test_a_clip_is_read_from_where_it_is(tmp_path):
    encode(str(tmp_path / 'clip.mp4'), levels(10))
    system = fsspec.filesystem('memory')
    system.pipe_file('/clip.mp4', (tmp_path / 'clip.mp4').read_bytes())
    here, there = video.read_clip(tmp_path / 'clip.mp4', rate=10), video.read_clip('memory://clip.mp4', rate=10)
    np.testing.assert_array_equal(here.frames, there.frames)
    with pytest.raises(video.BadClip, match='more than 99 bytes to fetch'):
        video.probe('memory://clip.mp4', limits=video.Limits(max_fetched=99))


def test_impossible_arguments_are_the_callers_error(tmp_path):
    with pytest.raises(ValueError, match='rate 0'):
        video.read_clip(tmp_path / 'clip.mp4', rate=0)
    with pytest.raises(ValueError, match='max_frames'):
        video.Limits(max_frames=0)


def test_real_clips_all_read(real_clips):
    for path in sorted(real_clips.iterdir()):
        info = video.probe(path)
        clip = video.read_clip(path, rate=4, seconds=0.5, short_side=64)
        assert clip.frames.shape[0] == 2 and min(clip.frames.shape[1:3]) == 64
        assert (clip.width, clip.height, clip.fps, clip.duration) == (info.width, info.height, info.fps, info.duration)
