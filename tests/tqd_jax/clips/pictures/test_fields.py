"""Interlaced pictures: noticed with and without the file's marks, told from film and noise, deinterlaced where asked."""
import numpy as np
import pytest
import scanned
from videos import encode, levels, numbers

from tqd_jax.clips.pictures.options import PictureOptions
from tqd_jax.clips.read import read_clip, read_views
from tqd_jax.scoring.row import Settings, score_clip

MARKED = {'x264-params': 'interlaced=1:tff=1', 'crf': '18'}
KINDS = [(scanned.interlaced, {}, 1.0), (scanned.progressive, {}, 0.0), (scanned.telecined, {}, 0.4),
         (scanned.interlaced, {'top_first': False}, 1.0), (scanned.interlaced, {'speed': 400}, 1.0)]


def share(path):
    return read_views(path, rate=25, seconds=2, side=48, stills=2, still_side=96)[0].interlaced


@pytest.mark.parametrize('options', [{'crf': '18'}, MARKED])
@pytest.mark.parametrize(('scan', 'how', 'expected'), KINDS)
def test_pictures_count_where_they_move_whatever_the_file_says(tmp_path, scan, how, expected, options):
    encode(str(tmp_path / 'clip.mp4'), scan(24, **how), rate=25, options=options)
    assert share(tmp_path / 'clip.mp4') == pytest.approx(expected, abs=0.15)


@pytest.mark.parametrize(('codec', 'suffix', 'options'), [('mpeg2video', 'mpg', {'flags': '+ilme+ildct', 'b': '6M'}), ('ffv1', 'mkv', {}),
                                                          ('libx265', 'mp4', {'x265-params': 'log-level=none', 'crf': '18'})])
def test_every_codec(tmp_path, codec, suffix, options):
    path = tmp_path / f'clip.{suffix}'
    for scan, expected in ((scanned.interlaced, 1.0), (scanned.progressive, 0.0)):
        encode(str(path), scan(24), codec, 'yuv420p', rate=25, options=options)
        assert share(path) == expected


@pytest.mark.parametrize(('options', 'expected'), [({}, 0.0), (MARKED, 1.0)])
def test_the_marks_count_where_nothing_moves(tmp_path, options, expected):
    encode(str(tmp_path / 'clip.mp4'), scanned.progressive(1).repeat(20, 0), rate=25, options=options)
    assert share(tmp_path / 'clip.mp4') == expected


def test_noise_and_fine_stripes_are_progressive(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (20, *scanned.SIZE, 1), dtype=np.uint8).repeat(3, 3)
    encode(str(tmp_path / 'noise.mp4'), noise, rate=25)
    assert share(tmp_path / 'noise.mp4') == 0
    stripes = scanned.progressive(20)
    stripes[:, ::2, :60] = 200
    stripes[:, 1::2, :60] = 60  # a still pattern of single lines
    encode(str(tmp_path / 'stripes.mp4'), stripes, rate=25)
    assert share(tmp_path / 'stripes.mp4') == 0


@pytest.mark.parametrize(('deinterlace', 'options', 'changes'), [('never', MARKED, False), ('flagged', MARKED, True), ('always', {}, True),
                                                                 ('flagged', {}, False)])
def test_deinterlacing_leaves_lines_of_one_moment(tmp_path, deinterlace, options, changes):
    path = tmp_path / 'clip.mkv'
    encode(str(path), scanned.interlaced(24), rate=25, options={'crf': '12'} | options)
    clip = read_clip(path, rate=25, options=PictureOptions(deinterlace=deinterlace))
    assert clip.frames.shape == (24, *scanned.SIZE, 3)
    truths = [np.stack([scanned.scene((i + later) / 25, 60) for i in range(24)]).astype(float) for later in (0, 0.5)]
    error = min(np.abs(clip.frames[2:-2] - truth[2:-2]).mean() for truth in truths)  # of the field that the file calls the first
    assert error < 3 if changes else error > 5
    np.testing.assert_allclose(clip.times, np.arange(24) / 25, atol=2e-3)


@pytest.mark.parametrize('suffix', ['ts', 'avi', 'mkv', 'mp4'])
@pytest.mark.parametrize('start', [0.0, 2.6])
def test_deinterlaced_frames_keep_their_times(tmp_path, suffix, start):
    path = str(tmp_path / f'clip.{suffix}')
    encode(path, levels(90), rate=25, options={'bf': '0', 'g': '12'})
    read = lambda how: read_clip(path, rate=10, start=start, seconds=0.8, options=PictureOptions(deinterlace=how))
    plain, fields = read('never'), read('always')
    np.testing.assert_array_equal(numbers(plain), numbers(fields))
    np.testing.assert_allclose(plain.times, fields.times, atol=1e-6)


def test_a_row_has_the_share_and_its_version_the_options(tmp_path):
    encode(str(tmp_path / 'clip.mp4'), scanned.interlaced(30), rate=25)
    settings = Settings(deinterlace='always', background='white')
    assert settings.version.endswith(',background=white,deinterlace=always')
    plain, woven = score_clip(tmp_path / 'clip.mp4', settings), score_clip(tmp_path / 'clip.mp4')
    assert plain['interlaced'] == woven['interlaced'] == 1  # what the file has, however it is read
    assert plain['detail'] != woven['detail']
