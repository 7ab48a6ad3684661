"""Learned scorers' columns over a library: once for each content and version, beside the measured rows, which they leave alone."""
from unittest import mock

import numpy as np
import pytest
import small
from light import Light

from tqd_jax.clips.container import Limits
from tqd_jax.scoring import engine as score
from tqd_jax.scoring.plugins import columns as learned
from tqd_jax.scoring.plugins.columns import score_learned, with_learned


@pytest.fixture(scope='module')
def library(tmp_path_factory):
    """Paths of two clips, a copy of the first, and a file that is none."""
    folder = small.moving(tmp_path_factory.mktemp('clips'), ['0.mp4', '1.mp4'])
    (folder / '2.mp4').write_bytes((folder / '0.mp4').read_bytes())
    (folder / '3.mp4').write_bytes(b'not a video')
    return [str(folder / f'{number}.mp4') for number in range(4)]


@pytest.fixture
def measured(library, tmp_path):
    """Their rows, and the store that has them."""
    store = tmp_path / 'rows.store'
    score.score_clips(library, store)
    return list(score.rows(library, store)), store


def learn(scorer, rows, store):
    told = []
    score_learned(scorer, rows, store, batch=2, workers=1, progress=lambda done, total: told.append((done, total)))
    return told


def test_a_content_is_scored_once_and_every_copy_has_its_columns(measured):
    rows, store = measured
    scorer = Light()
    assert learn(scorer, rows, store) == [(1, 2), (2, 2)] and len(scorer.batches) == 1
    table = list(with_learned([scorer], rows, store))
    assert table[0]['light_mean'] == table[2]['light_mean'] != table[1]['light_mean'] and 'light_mean' not in table[3]
    np.testing.assert_allclose(table[1]['light_mean'], scorer.batches[0][1].mean(), rtol=1e-5)
    assert learn(scorer, rows, store) == [] and len(scorer.batches) == 1


def test_measured_rows_stay_as_they_are_and_known(library, measured):
    rows, store = measured
    learn(Light(), rows, store)
    assert list(score.rows(library, store)) == rows
    told = []
    score.score_clips(library, store, measure=lambda missing: told.extend(missing) or iter(()))
    assert told == []


def test_what_is_missing_is_scored_and_another_version_anew(measured):
    rows, store = measured
    learn(Light(), rows[:1], store)
    assert learn(Light(), rows, store) == [(1, 1)]
    assert len(learn(Light(version='2'), rows, store)) == 2 and len(learn(Light(name='dark'), rows, store)) == 2


def test_a_clip_without_a_finite_value_has_none_and_is_asked_again_by_retry_alone(measured):
    rows, store = measured
    nothing = Light(gain=float('nan'))
    assert len(learn(nothing, rows, store)) == 2 and learn(nothing, rows, store) == []
    assert list(with_learned([nothing], rows, store)) == rows
    again = lambda **more: score_learned(nothing, rows, store, batch=2, workers=1, progress=lambda *done: None, **more)
    batches = len(nothing.batches)
    assert set(again().values()) == {'light gave no finite light_mean'} and len(nothing.batches) == batches
    assert len(again(retry=True)) == 2 and len(nothing.batches) == batches + 1


def test_a_clip_that_cannot_be_had_now_is_asked_again_and_limits_hold(measured):
    rows, store = measured
    with mock.patch('tqd_jax.scoring.plugins.scorers.read_clip', side_effect=OSError('the disk sleeps')):
        assert len(learn(Light(), rows, store)) == 2
    small_limits = Limits(max_pixels=100)
    none = score_learned(Light(), rows, store, batch=2, workers=1, progress=lambda *done: None, limits=small_limits)
    assert len(none) == 2 and all('pixels' in why for why in none.values())
    assert len(learn(Light(), rows, store)) == 2 and 'light_mean' in next(with_learned([Light()], rows, store))


def test_several_scorers_stand_beside_each_other(measured):
    rows, store = measured
    dark = Light(gain=-1.0, name='dark', version='7')
    learn(Light(), rows, store)
    assert learned.version_of(dark) == 'dark 7 pictures 2'
    assert list(with_learned([dark], rows, store)) == rows
    assert 'light_mean' in next(with_learned([dark, Light()], rows, store))
