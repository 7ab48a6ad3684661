"""One clip's row: all columns, what a long clip is measured on, the cheap first pass, versions, and a reason for whatever goes wrong."""
import hashlib
import json
import math
import pathlib

import av
import cv2
import numpy as np
import pytest
import small

from tqd_jax.clips.container import Limits
from tqd_jax.clips.content import content_id
from tqd_jax.clips.pictures import timing
from tqd_jax.clips.places import BadClip
from tqd_jax.clips.write import write_clip
from tqd_jax.scoring import row
from tqd_jax.scoring.measures import MEASURES, VERSION, motion_score, visual_score
from tqd_jax.scoring.motion.codec import codec_motion
from tqd_jax.scoring.row import Settings, measured_row, score_clip
from tqd_jax.scoring.visual import niqe_model

SIZE = 64


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    """A small clip that moves three pixels a frame."""
    return str(small.moving(tmp_path_factory.mktemp('clip'), [f'{number}.mp4' for number in range(4)], size=(SIZE, 96)) / '3.mp4')


@pytest.fixture(scope='module')
def picture():
    rng = np.random.default_rng(0)
    return cv2.GaussianBlur(rng.integers(0, 256, (SIZE, 1024, 3), dtype=np.uint8), (0, 0), 2)


def panned(path, picture, starts, fps=8):
    write_clip(path, np.stack([picture[:, start:start + SIZE] for start in starts]), fps)
    return path


def test_a_row_has_every_measure_as_a_number_that_json_takes(clip):
    values = score_clip(clip)
    assert set(values) == {'motion', 'visual', 'width', 'height', 'fps', 'duration', 'dynamic_range', 'fingerprint',
                           *(m.name for m in MEASURES)}
    assert (values['width'], values['height'], values['fps'], values['duration']) == (96, SIZE, 8, 1)
    assert all(math.isfinite(value) for value in values.values() if isinstance(value, float)) and values['motion_codec'] is None
    assert json.loads(json.dumps(values)) == values == score_clip(pathlib.Path(clip))
    assert values['motion'] == motion_score(values) and values['visual'] == pytest.approx(visual_score(values))


def test_a_long_clip_is_measured_from_end_to_end(tmp_path, picture):
    starts = np.maximum(0, 3 * (np.arange(128) - 64))  # at 8 frames a second: still for 8 s, then moving for 8 s
    moving = 3 * 8 / (SIZE * np.sqrt(2))
    values = score_clip(panned(tmp_path / 'late.mp4', picture, starts))
    assert values['motion'] == pytest.approx(moving / 2, rel=0.2) and values['frozen'] == pytest.approx(0.5, abs=0.05)
    assert values['duration'] == 16


def test_a_clip_of_twelve_seconds_is_measured_whole(tmp_path, picture):
    starts = np.where(np.arange(88) // 8 % 2, 3, 0).cumsum()  # every other second of eleven
    values = score_clip(panned(tmp_path / 'clip.mp4', picture, starts))
    assert values['motion'] == pytest.approx(5 / 11 * 3 * 8 / (SIZE * np.sqrt(2)), rel=0.2)


def test_what_a_long_clip_costs_does_not_grow(tmp_path, picture, monkeypatch):
    read, real = [], row.read_views
    monkeypatch.setattr(row, 'read_views', lambda *paths, **wanted: (read.append((wanted['start'], wanted['seconds'], wanted['stills'])),
                                                                     real(*paths, **wanted))[1])
    score_clip(panned(tmp_path / 'a.mp4', picture, [0] * 80, fps=8))
    score_clip(panned(tmp_path / 'b.mp4', picture, [0] * 240, fps=8))
    assert read == [(0, 12, 8), (0, 3, 2), (9, 3, 2), (18, 3, 2), (27, 3, 2)]


def test_the_first_pass_stops_what_hardly_moves(clip, monkeypatch):
    moved = codec_motion(clip)
    assert moved > 0 and score_clip(clip, Settings(codec=True))['motion_codec'] == moved
    assert score_clip(clip, Settings(min_codec_motion=moved))['motion_codec'] == moved
    monkeypatch.setattr(row, 'read_views', lambda *paths, **wanted: pytest.fail('measured further'))
    with pytest.raises(BadClip, match=r'hardly moves: .* less than 9'):
        score_clip(clip, Settings(min_codec_motion=9))


def test_without_vectors_nothing_is_stopped(clip, monkeypatch):
    monkeypatch.setattr(row, 'codec_motion', lambda path, limits: None)
    values = score_clip(clip, Settings(min_codec_motion=9))
    assert values['motion_codec'] is None and values['motion'] > 0


def test_a_version_tells_what_a_row_depends_on(tmp_path):
    assert Settings().version == VERSION == Settings(limits=Limits()).version
    data = niqe_model.SHIPPED.read_bytes()
    (tmp_path / 'a.npz').write_bytes(data)
    (tmp_path / 'b.npz').write_bytes(data)
    (tmp_path / 'c.npz').write_bytes(data + b' ')
    niqe = [Settings(niqe=str(tmp_path / f'{name}.npz')).version for name in 'abc']
    assert niqe[0] == niqe[1] != niqe[2]
    others = [Settings(**changed).version for changed in (
        {'flow': 'farneback'}, {'codec': True}, {'min_codec_motion': 0.5}, {'limits': Limits(max_frames=7)},
        {'limits': Limits(min_side=7)})]
    assert len({VERSION, *niqe, *others}) == 8 and all(version.startswith(f'{VERSION},') for version in others)


@pytest.mark.parametrize('wrong', [{'flow': 'lucas'}, {'min_codec_motion': -1.0}, {'min_codec_motion': math.nan}])
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match='flow is one of'):
        Settings(**wrong)


def test_limits_hold(clip):
    assert 'outside' in measured_row(clip, Settings(limits=Limits(max_pixels=1000)))['reason']
    assert 'more than 3 frames' in measured_row(clip, Settings(limits=Limits(max_frames=3)))['reason']


def test_a_row_begins_with_its_contents_hash(clip):
    assert measured_row(clip) == {'id': hashlib.sha256(pathlib.Path(clip).read_bytes()).hexdigest()[:32]} | score_clip(clip)


def test_what_is_known_is_not_measured(clip, monkeypatch):
    monkeypatch.setattr(row, 'score_clip', lambda *arguments: pytest.fail('measured'))
    asked = []
    assert measured_row(clip, has_row=lambda key: asked.append(key) or True) == {'id': content_id(clip)} and asked == [content_id(clip)]


@pytest.mark.parametrize('error, reason', [
    (BadClip('too long'), 'too long'), (MemoryError(), 'too large for the memory'),
    (cv2.error('OpenCV: Insufficient memory (Failed to allocate 9 bytes)'), 'too large for the memory'),
    (cv2.error('OpenCV: (-215)\n size'), 'cannot be measured (error: OpenCV: (-215) size)'),
    (ZeroDivisionError('by\nzero' + 999 * '!'), f'cannot be measured (ZeroDivisionError: by zero{193 * "!"})')])
def test_whatever_goes_wrong_is_a_reason_on_one_line(clip, monkeypatch, error, reason):
    def fail(*arguments):
        raise error
    monkeypatch.setattr(row, 'score_clip', fail)
    assert measured_row(clip) == ({'id': content_id(clip)} if reason == 'too long' else {}) | {'reason': reason}


def test_memory_that_lacks_is_no_reason_of_the_content(clip, monkeypatch):
    def fail(*arguments, **named):
        raise av.error.MemoryError(12, 'Cannot allocate memory')
    monkeypatch.setattr(av, 'open', fail)
    assert measured_row(clip) == {'reason': 'too large for the memory'}


def test_an_impossible_frame_rate_is_a_damaged_header(clip, monkeypatch):
    monkeypatch.setattr(timing, 'MAX_FPS', 7)
    assert measured_row(clip)['reason'] == '8 frames a second, more than 7: its header is wrong'


def test_a_file_that_cannot_be_read_has_no_id(tmp_path):
    assert measured_row(str(tmp_path / 'none.mp4')) == {'reason': 'cannot be read (No such file or directory)'}
    assert set(measured_row(str(tmp_path))) == {'reason'}
