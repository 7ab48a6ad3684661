"""The scoring engine and the normaliser: rows in order, once per content, reasons for what is left out, monotone and frozen maps."""
import itertools
import json
import os
import pathlib
import sys
import time
import types

import numpy as np
import pytest
import scipy.stats as st
from score_job import measured_paths

from tqd_jax.clips.content import content_id
from tqd_jax.clips.write import write_clip
from tqd_jax.scoring import engine as score
from tqd_jax.scoring import row
from tqd_jax.scoring.measures import VERSION
from tqd_jax.scoring.normaliser import KINDS, Normaliser
from tqd_jax.scoring.row import Settings, measured_row
from tqd_jax.scoring.store import RowStore

MEMORY = 2**30


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
    """Paths of six small clips, and last of a file that is none."""
    folder, rng = tmp_path_factory.mktemp('clips'), np.random.default_rng(0)
    for number in range(6):
        picture = np.kron(rng.integers(30, 226, (6, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        write_clip(folder / f'{number}.mp4', np.stack([np.roll(picture, number * step, axis=1) for step in range(8)]), 8)
    (folder / 'text.mp4').write_bytes(b'not a video')
    return [str(path) for path in sorted(folder.iterdir())]


def scored(paths, store, settings=Settings(), **options):
    score.score_clips(paths, store, settings, **options)
    return list(score.rows(paths, store, settings))


def by_processes(store, measure, workers=1, **options):
    return lambda paths: score.in_processes(paths, Settings(), store, workers=workers, measure=measure, **{'memory': MEMORY} | options)


def test_rows_and_reasons_are_in_order_and_progress_is_told(clips, tmp_path):
    told = []
    rows = scored(clips[::-1], tmp_path / 'store', progress=lambda done, total: told.append((done, total)))
    assert [row['clip'] for row in rows] == clips[::-1] and told == [(done, 7) for done in range(1, 8)]
    assert 'not a video' in rows[0]['reason'] and rows[0]['id'] == content_id(clips[-1]) and 'motion' not in rows[0]
    for values in rows[1:]:
        assert values['id'] == content_id(values['clip']) and 'reason' not in values and values['scorer_version'] == VERSION
        assert {**values, 'clip': 0} == {**row.score_clip(values['clip']), 'clip': 0, 'id': values['id'], 'scorer_version': VERSION}


def test_processes_give_the_same_rows(clips, tmp_path):
    alone, told = scored(clips, tmp_path / 'one'), []
    by = by_processes(tmp_path / 'two', measured_row, workers=2)
    assert scored(clips, tmp_path / 'two', measure=by, progress=lambda *done: told.append(done)) == alone
    assert told == [(done, 7) for done in range(1, 8)]


def test_what_is_known_is_not_measured_again(clips, tmp_path, monkeypatch):
    first, measured = scored(clips[:3], tmp_path / 'store'), measured_paths(monkeypatch)
    assert scored(clips[:3], tmp_path / 'store') == first and measured == []
    assert scored(clips, tmp_path / 'store')[:3] == first and measured == clips[3:]
    anew = scored(clips, tmp_path / 'store', Settings(flow='farneback'))
    assert len(measured) == 4 + 7 and {row['scorer_version'] for row in anew} == {f'{VERSION},flow=farneback'}
    monkeypatch.setattr(row, 'VERSION', 'next')
    assert scored(clips[:1], tmp_path / 'store')[0]['scorer_version'] == 'next' and len(measured) == 12


def test_it_goes_by_content(clips, tmp_path, monkeypatch):
    a, b, c = (str(tmp_path / name) for name in ('a.mp4', 'b.mp4', 'c.mp4'))
    copy = lambda source, target: pathlib.Path(target).write_bytes(pathlib.Path(source).read_bytes())
    copy(clips[0], a), copy(clips[1], b)
    measured = measured_paths(monkeypatch)
    rows = scored([a, b, clips[0]], tmp_path / 'store')
    assert measured == [a, b] and {**rows[0], 'clip': ''} == {**rows[2], 'clip': ''}
    pathlib.Path(a).rename(c)
    assert scored([c, b], tmp_path / 'store')[0] == rows[0] | {'clip': c} and measured == [a, b]
    copy(clips[2], b)
    assert scored([c, b], tmp_path / 'store')[1]['id'] == content_id(clips[2]) and measured == [a, b, b]
    os.remove(c)
    assert scored([c], tmp_path / 'store')[0]['reason'] == 'cannot be read (No such file or directory)'
    copy(clips[0], c)
    assert scored([c], tmp_path / 'store')[0]['motion'] == rows[0]['motion']


def test_a_file_that_changes_while_it_is_measured_says_so_and_is_measured_anew(clips, tmp_path):
    path, later = tmp_path / 'a.mp4', pathlib.Path(clips[3]).read_bytes()
    path.write_bytes(pathlib.Path(clips[2]).read_bytes())

    def measure(paths):
        for name in paths:
            values = measured_row(name)
            path.write_bytes(later)
            yield name, values

    rows = scored([str(path)], tmp_path / 'store', measure=measure)
    assert rows[0]['reason'] == 'changed while it was measured: start again'
    assert scored([str(path)], tmp_path / 'store')[0]['id'] == content_id(clips[3])


def test_a_reason_of_the_process_stays_until_it_is_forgotten(clips, tmp_path, monkeypatch):
    slow = lambda paths: ((path, {'reason': 'took longer than 3 s'}) for path in paths)
    assert scored(clips[:1], tmp_path / 'store', measure=slow)[0]['reason'] == 'took longer than 3 s'
    measured = measured_paths(monkeypatch)
    assert scored(clips[:1], tmp_path / 'store')[0]['reason'] == 'took longer than 3 s' and not measured
    with RowStore(tmp_path / 'store', VERSION) as store:
        store.forget_unread()
    assert 'motion' in scored(clips[:1], tmp_path / 'store')[0] and measured == clips[:1]


def misbehaving(path, settings, known):
    """A clip by its name: one dies, one hangs, one wants more than there is, and another says what its process is like."""
    match os.path.basename(path):
        case '1.mp4':
            os._exit(9)
        case '2.mp4':
            time.sleep(60)
        case '3.mp4':
            return large(path, settings, known)
    return {'id': path, 'process': os.getpid(), 'jax': 'jax' in sys.modules}


def large(path, settings, known):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row, 'score_clip', lambda *arguments: np.ones(2 * MEMORY, np.uint8))
        return measured_row(path, settings, known)


def test_a_clip_that_kills_hangs_or_eats_is_a_reason_and_the_others_are_scored(clips, tmp_path):
    rows = scored(clips[:6], tmp_path / 'store', measure=by_processes(tmp_path / 'store', misbehaving, timeout=3))
    assert [row.get('reason') for row in rows] == [
        None, 'its decoding process died (exit code 9)', 'took longer than 3 s to read and measure', 'too large for the memory', None, None]
    assert 'id' not in rows[3] and rows[0]['process'] != rows[4]['process'] == rows[5]['process']
    assert not any(rows[number]['jax'] for number in (0, 4, 5)), 'the processes need no jax'
    if 'PYTEST_XDIST_WORKER' not in os.environ:  # whose main is no file, so that a new process would have nothing to import anyway
        assert hasattr(sys.modules['__main__'], '__file__')


def threads_of_algebra(path, settings, known):
    return {'id': path, 'threads': {name: os.environ.get(name) for name in score.BLAS_THREADS}}


def test_processes_have_one_thread_for_algebra_unless_the_user_says_otherwise(tmp_path, monkeypatch):
    for name, said in zip(score.BLAS_THREADS, ('3', None, None), strict=True):
        monkeypatch.setenv(name, said) if said else monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    (_, row), = by_processes(tmp_path / 'store', threads_of_algebra)(['a clip'])
    assert list(row['threads'].values()) == ['3', '1', '1'] and dict(os.environ) == before


def brief(path, settings, known):
    return {'id': path}


def test_no_more_clips_are_scheduled_than_keep_the_processes_busy(tmp_path):
    taken = []
    paths = (taken.append(number) or f'{number}.mp4' for number in itertools.count())
    rows = score.in_processes(paths, Settings(), tmp_path / 'store', workers=2, memory=MEMORY, measure=brief)
    for done, _ in enumerate(itertools.islice(rows, 30)):
        assert len(taken) <= done + 2 * score.AHEAD
    start = time.monotonic()
    rows.close()
    assert time.monotonic() - start < 10


def test_no_clips_are_no_rows(tmp_path):
    assert scored([], tmp_path / 'store', measure=by_processes(tmp_path / 'store', brief)) == []


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


def test_rows_of_the_store_are_no_part_of_the_rate(clips, tmp_path, monkeypatch, capsys):
    from tqd_jax.scoring.measure import progress_bar  # it imports JAX, and processes that measure import this module without
    scored(clips[:6], tmp_path / 'store')
    clock = iter(range(0, 1000, 5))
    monkeypatch.setattr('transfer_jax.runtime.progress.time', types.SimpleNamespace(monotonic=lambda: next(clock)))
    with progress_bar('score', 'clip') as progress:
        scored(clips, tmp_path / 'store', progress=progress)
    *stored, last = capsys.readouterr().err.splitlines()
    assert stored and all(', 0.00 clip/s' in line for line in stored) and last.startswith('score: 7/7, 0.') and ' 0.00 ' not in last
