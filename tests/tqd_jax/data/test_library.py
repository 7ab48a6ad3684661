"""Scored clips as arrays: what is held out, how sources mix, what is skipped, and a normaliser that stays as it was."""
import dataclasses
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import small

from tqd_jax.data.buckets import Bucket
from tqd_jax.data.library import Library, load_library
from tqd_jax.data.prepare import prepare, too_short
from tqd_jax.text.words import HashedWords
from tqd_jax.timesteps.quadrants import quadrant
from tqd_jax.timesteps.quality import LawConfig
from transfer_jax.runtime.errors import UserError

TEXT = HashedWords(length=8, vocab=64)


def library(mq, vq):
    n = len(mq)
    fields = {field.name: np.zeros(n) for field in dataclasses.fields(Library)}
    return Library(**fields | {'ids': np.arange(n, dtype=np.uint64) * np.uint64(104729), 'mq': np.asarray(mq), 'vq': np.asarray(vq)})


def spread(n):
    return library(*np.random.default_rng(0).random((2, n)))


@pytest.mark.parametrize(('fraction', 'most'), [(0.1, 100), (0.25, 100), (0.5, 3)])
def test_held_out_clips_are_a_share_of_every_quadrant_and_of_no_use_to_training(fraction, most):
    lib = spread(200)
    training, held = lib.held_out(fraction, most, seed=0)
    assert sorted([*training, *held]) == list(range(200))
    kind = quadrant(lib.mq, lib.vq)
    for q in range(4):
        size = np.sum(kind == q)
        assert np.sum(kind[held] == q) == min(most, int(fraction * size)) > 0


def test_who_is_held_out_depends_on_content_and_seed_alone():
    lib = spread(120)
    _, held = lib.held_out(0.2, 8, seed=0)
    order = np.random.default_rng(1).permutation(120)
    _, again = dataclasses.replace(lib, ids=lib.ids[order], mq=lib.mq[order], vq=lib.vq[order]).held_out(0.2, 8, seed=0)
    assert set(lib.ids[held]) == set(lib.ids[order][again])
    assert set(held) != set(lib.held_out(0.2, 8, seed=1)[1])


def test_what_is_validated_is_of_what_is_held_out_and_more_contains_less():
    lib = spread(200)
    _, held = lib.held_out(0.5, 100, seed=0)
    few, more, all_ = (lib.validation(held, most, seed=0) for most in (2, 5, 100))
    assert set(few) < set(more) < set(all_) == set(held)
    assert np.bincount(quadrant(lib.mq, lib.vq)[few]).tolist() == [2, 2, 2, 2]
    assert few.tolist() == lib.held_out(0.5, 2, seed=0)[1].tolist()  # in the order in which clips are held out


def test_a_library_too_small_to_spare_any_validates_on_what_it_trains_on():
    training, held = spread(7).held_out(0.1, 2, seed=0)
    assert training.tolist() == list(range(7)) and 0 < len(held) and set(held) <= set(range(7))
    training, held = library([0.9], [0.1]).held_out(0.5, 8, seed=0)
    assert training.tolist() == held.tolist() == [0]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Eight clips of 1 s, and one of a quarter."""
    folder = tmp_path_factory.mktemp('clips')
    small.moving(folder / 'web', [f'{i}.mp4' for i in range(6)])
    small.moving(folder / 'studio', ['6.mp4', '7.mp4'], size=(32, 64))
    small.moving(folder / 'studio', ['short.mp4'], seconds=0.25)
    return folder


def data(clips, **changes):
    return small.config(**{'data.clips': clips, **{f'data.{key}': value for key, value in changes.items()}}).data


def scores(workdir):
    rows = pa.parquet.read_table(workdir / 'scores.parquet').to_pylist()
    return {row['clip']: row for row in rows if row['reason'] is None}


@pytest.mark.parametrize(('seconds', 'frames'), [(1.3, 13), (0.9, 9), (1.0, 13), (0.4, 5), (0.3, None)])
def test_of_a_short_clip_the_longest_bucket_that_it_fills_is_named(seconds, frames):
    """17 frames at 12 a second last 16 / 12 s; shorter ones that Wan's VAE takes are 13 (1 s), 9 (0.67 s) and 5 (0.33 s)."""
    reason = too_short({'width': 80, 'height': 60, 'duration': seconds}, fps=12.0,
                       buckets=(Bucket(width=64, height=64, frames=33), Bucket(width=96, height=64, frames=17)))
    found = reason.partition('the shortest bucket is 17 frames at 12 a second')[2]
    assert found == ('' if frames is None else f'; it fills "--config.data.buckets=((96, 64, {frames}),)"')


def test_short_clips_are_listed_and_the_others_scored(folder, tmp_path):
    prepare(data(folder), tmp_path, seed=0)
    assert small.lines(tmp_path / 'skipped.jsonl') == [{
        'clip': str(folder / 'studio/short.mp4'), 'reason': 'too short: 0.25 s, and the shortest bucket is 4 frames at 8 a second'}]
    rows = scores(tmp_path)
    assert len(rows) == 8 and all(0 <= row['mq'] <= 1 and 0 <= row['vq'] <= 1 for row in rows.values())
    assert len({row['id'] for row in rows.values()}) == 8
    lib = load_library(data(folder, buckets=((16, 16, 4), (32, 16, 4))), tmp_path, TEXT, LawConfig())
    wide = np.array([path.endswith(('6.mp4', '7.mp4')) for path in lib.paths])
    np.testing.assert_array_equal(lib.bucket, wide)
    assert lib.bucket_of(int(np.flatnonzero(wide)[0])) == Bucket(width=32, height=16, frames=4)


def test_a_rerun_maps_new_clips_by_the_old_normaliser(folder, tmp_path):
    few = small.moving(tmp_path / 'few', [f'{i}.mp4' for i in range(5)])
    prepare(data(few), tmp_path, seed=0)
    before, frozen = scores(tmp_path), (tmp_path / 'normaliser.json').read_text()
    (few / 'more.mp4').write_bytes((folder / 'web/5.mp4').read_bytes())
    prepare(data(few), tmp_path, seed=0)
    after = scores(tmp_path)
    assert (tmp_path / 'normaliser.json').read_text() == frozen and set(json.loads(frozen)) == {'motion', 'visual'}
    assert set(after) - set(before) == {str(few / 'more.mp4')}
    assert all(after[clip] == before[clip] for clip in before)


def manifest(folder, name, rows):
    path = folder / name
    pa.parquet.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_a_manifests_own_scores_replace_the_measured_ones_and_nothing_else_does(folder, tmp_path):
    rows = [{'clip': f'web/{i}.mp4', 'mq': i / 5, 'vq': 1 - i / 5, 'id': f'mine {i}', 'duration': 99.0, 'note': f'n{i}'} for i in range(6)]
    prepare(data(manifest(folder, 'given.parquet', rows)), tmp_path, seed=0)
    found = list(scores(tmp_path).values())
    assert [row['mq'] for row in found] == [i / 5 for i in range(6)] and [row['vq'] for row in found] == [1 - i / 5 for i in range(6)]
    assert [row['note'] for row in found] == [f'n{i}' for i in range(6)], 'a column of the manifest is lost'
    assert all(row['duration'] == pytest.approx(1.0) and int(row['id'], 16) for row in found)
    assert not (tmp_path / 'normaliser.json').exists()


def test_sources_get_the_rates_and_weights_asked_for(folder, tmp_path):
    spec = f'web={folder}/web,studio={folder}/studio'
    prepare(data(spec), tmp_path, seed=0)
    load = lambda **changes: load_library(data(spec, dropout='none', **changes), tmp_path, TEXT, LawConfig())
    plain = load()
    assert plain.source_names == ('studio', 'web') and plain.rates.tolist() == [0.25, 0.75] and set(plain.weight) == {1.0}
    mixed = load(mix={'web': {'rate': 1, 'weight': 0.5}, 'studio': {'rate': 3, 'weight': 2}})
    assert mixed.rates.tolist() == [3, 1]
    np.testing.assert_array_equal(mixed.weight, np.where(mixed.source == 0, np.float32(2), np.float32(0.5)))
    with pytest.raises(UserError, match=r"config.data.mix names the sources \['web'\], and the clips have \['studio', 'web'\]"):
        load(mix={'web': {'rate': 1, 'weight': 1}})


@pytest.mark.parametrize('dropout', ['sampler', 'weight', 'none'])
def test_quality_dropout_acts_in_one_place(folder, tmp_path, dropout):
    rows = [{'clip': f'web/{i}.mp4', 'mq': (0.9, 0.2)[i % 2], 'vq': (0.3, 0.4)[i % 2]} for i in range(6)]
    one = data(manifest(folder, 'quality.parquet', rows), dropout=dropout)
    prepare(one, tmp_path, seed=0)
    lib = load_library(one, tmp_path, TEXT, LawConfig())
    worth, ones = np.array([0.9, 0.4] * 3), np.ones(6)
    np.testing.assert_allclose(lib.acceptance, worth if dropout == 'sampler' else ones)
    np.testing.assert_allclose(lib.weight, worth if dropout == 'weight' else ones, rtol=1e-6)


def test_clips_worth_nothing_are_refused(folder, tmp_path):
    one = data(manifest(folder, 'zero.parquet', [{'clip': 'web/0.mp4', 'mq': 0.0, 'vq': 0.0}]))
    prepare(one, tmp_path, seed=0)
    with pytest.raises(UserError, match=r"config\.data\.dropout = 'sampler' accepts none of 1 clip"):
        load_library(one, tmp_path, TEXT, LawConfig())
    assert len(load_library(data(one.clips, dropout='none'), tmp_path, TEXT, LawConfig())) == 1
