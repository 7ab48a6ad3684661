"""The scoring engine and the normaliser: once per content, resumable, reasons for what is left out, monotone and frozen maps."""
import json
import os
import pathlib
import sys
import time

import cv2
import numpy as np
import pytest
import scipy.stats as st

from tqd_jax.data.render import render_library
from tqd_jax.data.video import write_clip
from tqd_jax.quality import score
from tqd_jax.quality.normaliser import KINDS, Normaliser


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
    folder = render_library(tmp_path_factory.mktemp('rendered'), clips=6).parent / 'clips'
    (folder / 'broken.mp4').write_bytes(b'not a video')
    return [str(path) for path in sorted(folder.glob('*.mp4'))]


def counted(monkeypatch):
    measured, real = [], score.score_clip
    monkeypatch.setattr(score, 'score_clip', lambda path: (measured.append(path), real(path))[1])
    return measured


def test_rows_and_reasons_are_in_order(clips, tmp_path):
    seen = []
    rows, skipped = score.score_clips(clips, tmp_path / 'cache.jsonl', progress=lambda done, total: seen.append((done, total)))
    assert [row['clip'] for row in rows] == clips[:-1] and [path for path, _ in skipped] == clips[-1:]
    assert 'not a video' in skipped[0][1] and seen[-1] == (7, 7)
    assert {'id', 'motion', 'visual', 'width', 'height', 'fps', 'duration', 'scorer_version'} <= rows[0].keys()


def test_what_is_known_is_not_measured_again(clips, tmp_path, monkeypatch):
    cache = tmp_path / 'cache.jsonl'
    first = score.score_clips(clips, cache)
    measured = counted(monkeypatch)
    assert score.score_clips(clips, cache) == first and measured == []
    lines = cache.read_text().splitlines()
    cache.write_text('\n'.join(lines[:3]) + '\n' + lines[3][:20])  # killed in the middle of a line
    assert score.score_clips(clips, cache) == first and len(measured) == 4
    assert score.score_clips(clips, cache) == first and len(measured) == 4
    stale = [json.dumps(json.loads(line) | {'scorer_version': -1}) for line in lines]
    cache.write_text('\n'.join(stale) + '\n')
    assert score.score_clips(clips, cache) == first and len(measured) == 4 + 7


def test_changed_bytes_are_measured_and_copies_are_not(clips, tmp_path, monkeypatch):
    (tmp_path / 'a.mp4').write_bytes(pathlib.Path(clips[0]).read_bytes())
    (tmp_path / 'b.mp4').write_bytes(pathlib.Path(clips[1]).read_bytes())
    paths, cache = [str(tmp_path / 'a.mp4'), str(tmp_path / 'b.mp4'), clips[0]], tmp_path / 'cache.jsonl'
    measured = counted(monkeypatch)
    rows, _ = score.score_clips(paths, cache)
    assert len(measured) == 2 and rows[0]['id'] == rows[2]['id'] and rows[0]['motion'] == rows[2]['motion']
    (tmp_path / 'a.mp4').write_bytes(pathlib.Path(clips[2]).read_bytes())
    rows, _ = score.score_clips(paths, cache)
    assert len(measured) == 3 and rows[0]['id'] != rows[2]['id']


def test_processes_give_the_same_rows(clips, tmp_path):
    assert score.score_clips(clips, tmp_path / 'one.jsonl') == score.score_clips(clips, tmp_path / 'two.jsonl', workers=2)


def test_a_clip_that_kills_its_process_is_left_out_with_a_reason(clips, tmp_path, monkeypatch):
    monkeypatch.setenv('TQD_TEST_CRASH', clips[2])
    rows, skipped = score.score_clips(clips[:4], tmp_path / 'cache.jsonl', workers=1, measure=crash_on_one)
    assert [row['clip'] for row in rows] == [clips[0], clips[1], clips[3]] and 'died' in skipped[0][1]


def test_a_clip_that_hangs_is_left_out_with_a_reason(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(score, 'TIMEOUT', 3.0)
    monkeypatch.setenv('TQD_TEST_HANG', clips[0])
    rows, skipped = score.score_clips(clips[:2], tmp_path / 'cache.jsonl', workers=1, measure=hang_on_one)
    assert [row['clip'] for row in rows] == clips[1:2] and skipped == [(clips[0], 'took longer than 3 s to decode and measure')]


def hang_on_one(path):
    if path == os.environ['TQD_TEST_HANG']:
        time.sleep(60)
    return {'motion': 1.0}


def test_processes_do_not_load_jax(clips, tmp_path):
    rows, _ = score.score_clips(clips[:1], tmp_path / 'cache.jsonl', workers=1, measure=loaded)
    assert rows[0]['jax'] is False
    if 'PYTEST_XDIST_WORKER' not in os.environ:  # whose main is no file, so that a new process would have nothing to import anyway
        assert hasattr(sys.modules['__main__'], '__file__')


def loaded(path):
    return {'jax': 'jax' in sys.modules}


def test_a_long_clip_is_measured_from_end_to_end(tmp_path):
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.integers(0, 256, (64, 512, 3), dtype=np.uint8), (0, 0), 2)
    starts = np.maximum(0, 3 * (np.arange(128) - 64))  # at 8 frames a second: still for 8 s, then moving for 8 s
    write_clip(tmp_path / 'late.mp4', np.stack([picture[:, start:start + 64] for start in starts]), 8)
    moving = 3 * 8 / (64 * np.sqrt(2))
    assert score.score_clip(tmp_path / 'late.mp4')['motion'] == pytest.approx(moving / 2, rel=0.2)


def crash_on_one(path):
    if path == os.environ['TQD_TEST_CRASH']:
        os._exit(9)
    return score.measured_row(path)


VALUES = np.random.default_rng(0).lognormal(size=400)


@pytest.mark.parametrize('kind', KINDS)
def test_normalisers_are_monotone_within_bounds_and_survive_json(kind):
    fitted = Normaliser.fit(VALUES, kind)
    out = fitted(np.sort(np.concatenate([VALUES, [-1e9, 1e9]])))
    assert out.min() >= 0 and out.max() <= 1 and (np.diff(out) >= 0).all()
    assert Normaliser.from_dict(json.loads(json.dumps(fitted.to_dict()))) == fitted


def test_ranks_are_percentiles():
    expected = (st.rankdata(VALUES) - 1) / (VALUES.size - 1)
    np.testing.assert_allclose(Normaliser.fit(VALUES)(VALUES), expected, atol=1e-9)
    big = np.random.default_rng(1).normal(size=100_000)
    assert len(Normaliser.fit(big).knots) <= 1001
    np.testing.assert_allclose(Normaliser.fit(big)(big), st.rankdata(big) / big.size, atol=2e-3)


def test_closed_forms():
    np.testing.assert_allclose(Normaliser.fit(VALUES, 'zscore')(VALUES), st.norm.cdf(st.zscore(VALUES)))
    np.testing.assert_allclose(Normaliser.fit([2.0, 4.0, 3.0], 'minmax')([1.0, 2.5, 9.0]), [0, 0.25, 1])
    ties = Normaliser.fit([1.0, 2.0, 2.0, 2.0, 3.0])
    np.testing.assert_allclose(ties([1.0, 2.0, 3.0]), [0, 0.5, 1])


@pytest.mark.parametrize('kind', KINDS)
def test_a_library_of_one_value_is_in_the_middle(kind):
    np.testing.assert_array_equal(Normaliser.fit([3.0, 3.0], kind)([3.0, 5.0]), 0.5)


def test_bad_scores_are_refused():
    with pytest.raises(ValueError, match='finite'):
        Normaliser.fit([1.0, np.nan])
    with pytest.raises(ValueError, match='one of'):
        Normaliser.fit([1.0, 2.0], 'softmax')
