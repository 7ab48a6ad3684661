"""Times by the frames that are shown: files that start between key frames, edit lists, wrong headers, uneven rates."""
import contextlib

import av
import numpy as np
import pytest
from mp4_boxes import with_edits
from PIL import Image
from videos import encode, levels, numbers

from tqd_jax.clips.display import probe
from tqd_jax.clips.pictures.decoders import decoded_frames
from tqd_jax.clips.places import BadClip
from tqd_jax.clips.read import read_clip, read_views
from tqd_jax.scoring.row import score_clip

FINE = {'qmin': '2', 'qmax': '2'}
CUT = [('mp4', 'libx264', {}), ('mkv', 'libx264', {}), ('ts', 'libx264', {}), ('flv', 'libx264', {}), ('mov', 'mpeg4', FINE),
       ('avi', 'mpeg4', FINE), ('ts', 'mpeg2video', FINE), ('mp4', 'libx265', {'x265-params': 'log-level=none'}), ('flv', 'flv', FINE),
       ('avi', 'msmpeg4', FINE), ('wmv', 'wmv2', FINE), ('webm', 'libvpx-vp9', {'deadline': 'realtime', 'cpu-used': '8', 'b': '4M'})]
LOST = 20


def cut(path, codec, options, skip=LOST, count=90):
    """A file of frames `skip` to `count` whose packets are those of a longer one, so that it starts between key frames."""
    source, noise = path.with_name(f'whole{path.suffix}'), np.random.default_rng(0).integers(-9, 10, (64, 96, 3))
    frames = (levels(count, (64, 96)) * 0.8 + 10 + noise).clip(0, 255).astype(np.uint8)
    encode(str(source), frames, codec, 'yuv420p', rate=25, options={'g': '30'} | options)
    with av.open(str(source)) as old, av.open(str(path), 'w') as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        packets = [packet for packet in old.demux(video=0) if packet.size]
        keys = [i for i, packet in enumerate(packets) if packet.is_keyframe]
        for packet in packets[skip:]:
            packet.stream = stream
            new.mux(packet)
    return frames, min(packets[key].pts * packets[key].time_base for key in keys if key >= skip)


@pytest.mark.parametrize(('suffix', 'codec', 'options'), CUT)
def test_a_file_that_starts_between_key_frames_is_read_from_its_first_whole_frame(tmp_path, suffix, codec, options):
    path = tmp_path / f'clip.{suffix}'
    frames, _ = cut(path, codec, options)
    clip, info = read_clip(path, rate=25), probe(path)
    means = frames.mean((1, 2, 3))
    first = int(np.argmin(np.abs(means - clip.frames[0].mean())))
    assert LOST < first <= 60 and abs(means[first] - clip.frames[0].mean()) < 2  # a whole picture, and not one drawn on grey
    count = len(frames) - first
    assert clip.duration == info.duration == pytest.approx(count / 25, abs=0.05) and clip.fps == pytest.approx(25, rel=0.01)
    np.testing.assert_allclose(clip.frames.mean((1, 2, 3)), means[first:first + len(clip.frames)], atol=4)
    assert abs(len(clip.frames) - count) <= 1
    views, _ = read_views(path, rate=25, start=0.4, seconds=1, side=32, stills=2, still_side=64)
    np.testing.assert_allclose(views.frames.mean((1, 2, 3)), means[first + 10:first + 35], atol=5)


def test_it_is_scored(tmp_path):
    cut(tmp_path / 'clip.ts', 'libx264', {})
    assert score_clip(tmp_path / 'clip.ts')['duration'] == pytest.approx(2.4, abs=0.05)


EDITS = [((1000, 1.5), ), ((500, 1.5), ), ((2000, None), (6000, 0)), ((2000, None), (1000, 1.5)), ((1000, 0), (1000, 4.0)),
         ((1000, 0), (1000, 0)), ((100, 1.4), (900, 2.3))]


@pytest.mark.parametrize('edits', EDITS)
@pytest.mark.parametrize('gop', ['30', '250', '1'])
def test_an_edit_lists_frames_are_those_that_count(tmp_path, edits, gop):
    path = tmp_path / 'clip.mp4'
    encode(str(path), levels(60), options={'bf': '0', 'x264-params': f'keyint={gop}:min-keyint={gop}:scenecut=0'}, use_editlist='0')
    with av.open(str(path)) as container:
        ticks = 1 / container.streams.video[0].time_base
    with_edits(path, *((length, -1 if start is None else round(start * ticks)) for length, start in edits))
    parts = [(round(10 * start), round(10 * start + length / 100)) for length, start in edits if start is not None]
    expected = np.concatenate([np.arange(*part) for part in parts])
    clip = read_clip(path, rate=10)
    assert numbers(clip).tolist() == expected.tolist()
    assert clip.fps == pytest.approx(10, rel=0.01) and clip.duration == pytest.approx(len(expected) / 10, abs=0.02)


def test_a_file_of_thousands_of_hidden_frames_is_no_damaged_header(tmp_path):
    path = tmp_path / 'clip.mp4'
    encode(str(path), levels(60).repeat(20, 0), rate=24, options={'preset': 'ultrafast', 'g': '48', 'bf': '0'}, use_editlist='0')
    with_edits(path, (280, 12288 * 40))
    assert probe(path).fps == pytest.approx(24, rel=0.1)


@pytest.mark.parametrize(('suffix', 'seconds', 'duration'), [('mp4', 2, 4.9), ('mp4', 40, 3.0), ('mov', 47_000, 3.0), ('mkv', 40, 3.0)])
def test_a_last_picture_may_stay_but_not_for_ever(tmp_path, suffix, seconds, duration):
    path = tmp_path / f'clip.{suffix}'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=10, options={'bf': '0', 'crf': '1'})
        stream.width, stream.height, stream.pix_fmt = 48, 32, 'yuv420p'
        packets = [packet for frame in levels(30) for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format='rgb24'))]
        packets += stream.encode()
        packets[-1].duration = round(seconds / packets[-1].time_base)
        container.mux(packets)
    clip = read_clip(path, rate=10)
    assert clip.fps == pytest.approx(10, rel=0.01) and clip.duration == pytest.approx(duration, abs=0.05)
    assert numbers(clip).tolist() == list(range(30)) + [29] * round(10 * duration - 30)


def test_a_file_that_was_cut_off_is_still_told(tmp_path):
    path = tmp_path / 'clip.mkv'
    encode(str(path), levels(70).repeat(5, 0), options={'g': '12', 'bf': '0'})
    with av.open(str(path)) as container:
        end = [packet.pos for packet in container.demux(video=0)][100]
    path.write_bytes(path.read_bytes()[:end])
    assert probe(path).duration == pytest.approx(35)
    with pytest.raises(BadClip, match=r'truncated: frames end at \d+\.\d+ s of 35'):
        read_clip(path, rate=10)


@pytest.mark.parametrize('suffix', ['mp4', 'mkv', 'mov'])
def test_an_uneven_rate_is_the_mean_over_the_frames(tmp_path, suffix):
    ticks = np.cumsum([*20 * [33], *40 * [100]])
    encode(str(tmp_path / f'clip.{suffix}'), levels(60), ticks=ticks, options={'bf': '0'})
    assert probe(tmp_path / f'clip.{suffix}').fps == pytest.approx(59 / (ticks[-1] - ticks[0]) * 1000, rel=0.01)


@pytest.mark.parametrize('wrong', [2, 50, 1000])
def test_a_matroska_files_wrong_rate_is_not_believed(tmp_path, wrong):
    path = tmp_path / 'clip.mkv'
    encode(str(path), levels(40))
    data = path.read_bytes()
    place = data.index(b'\x23\xe3\x83\x84') + 4  # DefaultDuration, of four bytes
    path.write_bytes(data[:place] + int(1e9 / wrong).to_bytes(4) + data[place + 4:])
    clip = read_clip(path, rate=10)
    assert clip.fps == pytest.approx(10, rel=0.01) and clip.duration == pytest.approx(4) and numbers(clip).tolist() == list(range(40))


@pytest.mark.parametrize(('delays', 'fps', 'duration'), [(20 * [100], 10, 2), ([*19 * [100], 3000], 10, 4.9),
                                                         ([*10 * [50], *10 * [200]], 8.26, 2.5)])
def test_a_gif_has_the_mean_of_its_delays(tmp_path, delays, fps, duration):
    pictures = [Image.fromarray(frame) for frame in levels(20)]
    pictures[0].save(tmp_path / 'clip.gif', save_all=True, append_images=pictures[1:], duration=delays)
    info = probe(tmp_path / 'clip.gif')
    assert (info.fps, info.duration) == (pytest.approx(fps, rel=0.01), pytest.approx(duration, rel=0.01))


@pytest.mark.parametrize('flags', ['frag_keyframe+empty_moov', 'frag_keyframe', 'frag_keyframe+empty_moov+default_base_moof'])
def test_fragments_count_together(tmp_path, flags):
    encode(str(tmp_path / 'clip.mp4'), levels(60), options={'g': '12'}, movflags=flags)
    clip = read_clip(tmp_path / 'clip.mp4', rate=10)
    assert (clip.fps, clip.duration) == (pytest.approx(10), pytest.approx(6)) and numbers(clip).tolist() == list(range(60))


@pytest.mark.parametrize(('suffix', 'flags'), [('mp4', {'movflags': 'dash+frag_keyframe+empty_moov'}), ('flv', {}),
                                               ('mp4', {'movflags': 'frag_keyframe+empty_moov+negative_cts_offsets'}),
                                               ('flv', {'flvflags': 'no_duration_filesize'}), ('ts', {}), ('mkv', {}), ('mp4', {})])
def test_frames_that_are_decoded_before_the_first_one_take_no_time(tmp_path, suffix, flags):
    """48 frames of 1/24 s with B-frames, whose first is shown two frames late: some headers count from 0, or to the last frame's start."""
    path = str(tmp_path / f'clip.{suffix}')
    encode(path, levels(48), rate=24, options={'bf': '3', 'b_strategy': '0', 'g': '24'}, **flags)
    info = probe(path)
    assert (info.fps, info.duration) == (pytest.approx(24, rel=1e-3), pytest.approx(2, abs=2e-3))


def test_frames_that_only_help_others_do_not_count(tmp_path):
    options = {'auto-alt-ref': '1', 'lag-in-frames': '16', 'b': '1M', 'arnr-maxframes': '7'}
    encode(str(tmp_path / 'clip.webm'), levels(60), 'libvpx', rate=25, options=options, live='1')
    assert probe(tmp_path / 'clip.webm').fps == pytest.approx(25, rel=0.01)


def test_packets_that_cannot_be_decoded_do_not_end_the_file(tmp_path):
    path = tmp_path / 'clip.webm'
    cut(path, 'libvpx-vp9', {'deadline': 'realtime', 'cpu-used': '8', 'b': '4M'})  # some of the lost packets hold two frames
    shown = 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        for packet in container.demux(stream):
            with contextlib.suppress(av.FFmpegError):
                shown += len(decoded_frames(stream.codec_context, packet))
    assert shown == 60


def test_files_that_were_joined_byte_by_byte_last_as_long_as_all_of_them(tmp_path):
    parts = [tmp_path / '0.ts', tmp_path / '1.ts', tmp_path / '2.ts']
    for number, part in enumerate(parts):
        encode(str(part), levels(60)[20 * number:20 * number + 20])
    path = tmp_path / 'clip.ts'
    path.write_bytes(b''.join(part.read_bytes() for part in parts))
    clip = read_clip(path, rate=10)
    assert (clip.fps, clip.duration) == (pytest.approx(10), pytest.approx(6)) and numbers(clip).tolist() == list(range(60))
