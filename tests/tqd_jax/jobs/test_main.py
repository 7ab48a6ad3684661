"""The main job from clips to report on pixels, shrunk: what a run leaves, what compiles, and the modes, laws and mixes."""
import dataclasses
import json
import logging
import shutil
import signal

import cv2
import jax
import numpy as np
import phases
import pyarrow.parquet
import pytest
import small
from scipy import stats
from scipy.special import expit, logit

import tqd_jax.training.loop as loop
from tqd_jax.clips.read import read_clip
from tqd_jax.timesteps.quadrants import QUADRANTS
from tqd_jax.training.programs import compile_train
from tqd_jax.training.sampling import generate
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.metrics import read_metrics

STEPS, BATCH = small.SMALL['train.steps'], small.SMALL['train.batch']


class Compilations(logging.Handler):
    """Names of the functions that JAX compiles while it is attached; of those that it finds compiled, (name, hash of the program)."""

    def __init__(self):
        super().__init__()
        self.names, self.reused = [], []

    def emit(self, record):
        words = record.getMessage().split()
        if words[0] == 'Compiling':
            self.names.append(words[1])
        elif words[:4] == ['Persistent', 'compilation', 'cache', 'hit']:
            self.reused.append((words[5].strip("'"), words[-1]))

    def __enter__(self):
        logging.getLogger('jax').addHandler(self)
        self.before = jax.config.jax_log_compiles
        jax.config.update('jax_log_compiles', True)
        return self

    def __exit__(self, *exception):
        jax.config.update('jax_log_compiles', self.before)
        logging.getLogger('jax').removeHandler(self)


@pytest.fixture(scope='module')
def finished(tmp_path_factory, compiled):
    """(work directory, names compiled) of a whole run on the embedded library."""
    workdir = tmp_path_factory.mktemp('runs') / 'video'
    with Compilations() as seen:
        small.run_whole(workdir, **{'profile.steps': (3, 4)})
    return workdir, seen.names


def test_a_run_leaves_what_was_promised(finished):
    workdir, _ = finished
    assert '<html' in (workdir / 'report.html').read_text()
    table = pyarrow.parquet.read_table(workdir / 'scores.parquet')
    assert table.num_rows == 16 and {'clip', 'motion', 'visual', 'mq', 'vq'} <= set(table.column_names)
    assert (workdir / 'skipped.jsonl').read_text() == '' and any((workdir / 'profile').rglob('*.xplane.pb'))
    assert sorted(int(path.name) for path in (workdir / 'checkpoints').iterdir()) == [4, 8]
    assert {path.name for path in (workdir / 'samples').iterdir()} == {'00.mp4', '01.mp4', 'data', 'sheet.png', 'data.png'}
    for name in ('00.mp4', '01.mp4'):
        assert read_clip(workdir / 'samples' / name, rate=8).frames.shape == (4, 160, 160, 3)
    assert cv2.imread(str(workdir / 'samples/sheet.png')).shape == (2 * 162, 4 * 162, 3)
    assert not [path for path in workdir.rglob('*') if path.name.endswith(('.part', '.tmp'))]


def test_metrics_and_evaluations_are_numbers_at_the_steps_asked_for(finished):
    workdir, _ = finished
    metrics = read_metrics(workdir / 'metrics.jsonl')
    assert [record['step'] for record in metrics if 'loss' in record] == [2, 4, 6, 8]
    assert all(np.isfinite(value) for record in metrics for value in record.values())
    assert [record['learning_rate'] for record in metrics if 'loss' in record] == pytest.approx([3e-4] * 4)
    evaluations = small.lines(workdir / 'evaluation.jsonl')
    assert [record['step'] for record in evaluations] == [0, 4, 8]
    for record in evaluations:
        loss, count = np.array(record['loss'], float), np.array(record['count'])
        assert loss.shape == count.shape == (4, 10)
        np.testing.assert_array_equal(np.isfinite(loss), count > 0)
        assert (loss[count > 0] > 0).all()
    first, last = (np.nanmean(np.array(record['loss'], float)) for record in (evaluations[0], evaluations[-1]))
    assert last < first, 'eight steps from scratch do not help'


def test_the_timesteps_drawn_are_counted_once_an_example(finished):
    workdir, _ = finished
    drawn = np.load(workdir / 'drawn.npz')
    assert drawn['counts'].shape == (4, 40) and drawn['counts'].sum() == STEPS * BATCH
    present = np.isfinite(drawn['law_density']).all(axis=1)
    assert present.any() and (present | (drawn['counts'].sum(axis=1) == 0)).all()
    mass = drawn['law_density'][present].mean(axis=1)
    assert (mass < 1.01).all() and (mass > 0.75).all()  # the midpoint rule misses a part of a pole at an end of [0, 1]


def test_one_compilation_of_the_step_for_the_whole_run(finished):
    names = finished[1]
    assert names.count('jit(train_step)') == 1 and names.count('jit(eval_step)') == 1
    assert 'jit(_advance)' in names, 'compilations are not seen'


def test_weights_are_where_another_run_starts(finished, tmp_path):
    workdir, _ = finished
    small.run(tmp_path, **{'init_from': workdir / 'weights.npz', 'data.clips': workdir / 'library/manifest.parquet', 'train.steps': 1})
    ended, begun = small.lines(workdir / 'evaluation.jsonl')[-1], small.lines(tmp_path / 'evaluation.jsonl')[0]
    assert begun['step'] == 0 and begun['loss'] == ended['loss']


def test_eval_mode_says_what_the_run_said(finished, tmp_path, capsys):
    workdir = shutil.copytree(finished[0], tmp_path / 'run')
    small.run(workdir, 'eval')
    record, last = json.loads((workdir / 'eval.json').read_text()), small.lines(workdir / 'evaluation.jsonl')[-1]
    assert record['step'] == STEPS and record['count'] == last['count']
    assert record['loss'] == last['loss']
    out = capsys.readouterr().out
    assert 'step 8, loss on training clips (too few to hold any out) by noise bin' in out and all(name in out for name in QUADRANTS)


def test_sample_mode_draws_anew_from_the_checkpoint(finished, tmp_path):
    workdir = shutil.copytree(finished[0], tmp_path / 'run')
    before = (workdir / 'samples/00.mp4').read_bytes()
    (workdir / 'samples/00.mp4').unlink()
    generate._advance_guided.clear_cache()
    small.run(workdir, 'sample', **{'sample.clips': 1})
    assert generate._advance_guided._cache_size() == 1, 'the first step of the solver is a program of its own'
    assert (workdir / 'samples/00.mp4').read_bytes() == before, 'the same weights and seed draw another clip'
    assert sorted(path.name for path in (workdir / 'samples').glob('*.mp4')) == ['00.mp4'], 'clips of an older set are left'
    record = json.loads((workdir / 'samples.json').read_text())
    assert len(record['captions']) == len(record['samples']['motion']) == 1


@pytest.mark.parametrize('mode, phase', [('sample', 'sample'), ('eval', 'eval')])
def test_a_stop_of_a_mode_that_saves_nothing_ends_it_and_leaves_the_run(finished, capsys, mode, phase):
    left = {path: path.stat().st_mtime_ns for path in finished[0].rglob('*') if path.is_file()}
    with phases.signalled(signal.SIGTERM, phase, 1):
        small.run(finished[0], mode)
    assert capsys.readouterr().out.endswith('stopped; the same command begins again\n')
    assert left.items() <= {path: path.stat().st_mtime_ns for path in finished[0].rglob('*') if path.is_file()}.items()


def test_score_mode_needs_no_training_and_training_goes_on_from_it(finished, tmp_path, capsys):
    clips = finished[0] / 'library/manifest.parquet'
    small.run(tmp_path, 'score', **{'data.clips': clips})
    assert (tmp_path / 'report.html').exists() and not (tmp_path / 'checkpoints').exists()
    scores = (tmp_path / 'scores.parquet').read_bytes()
    for mode in ('sample', 'eval'):
        with pytest.raises(UserError, match='has no checkpoint yet: run --mode=train first'):
            small.run(tmp_path, mode, **{'data.clips': clips})
    small.run(tmp_path, **{'data.clips': clips, 'train.steps': 1})
    assert (tmp_path / 'checkpoints/1').exists() and (tmp_path / 'scores.parquet').read_bytes() == scores
    assert 'finished' not in capsys.readouterr().out


def test_another_choice_of_normaliser_is_fitted_anew_until_something_was_trained(finished, tmp_path):
    workdir = shutil.copytree(finished[0], tmp_path / 'run')
    column = lambda: pyarrow.parquet.read_table(workdir / 'scores.parquet')['mq'].to_pylist()
    ranks = column()
    with pytest.raises(UserError, match=r"data\.normaliser: 'rank' -> 'minmax'"):
        small.run(workdir, 'score', **{'data.normaliser': 'minmax'})
    assert column() == ranks
    shutil.rmtree(workdir / 'checkpoints')
    small.run(workdir, 'score', **{'data.normaliser': 'minmax'})
    assert min(column()) == 0 and max(column()) == 1 and column() != ranks


@pytest.fixture(scope='module')
def graded(finished, tmp_path_factory):
    """A work directory, scored, whose eight clips of two qualities are given by a manifest: (mq, vq) = (0.9, 0.2) and (0.2, 0.9)."""
    workdir, folder = tmp_path_factory.mktemp('graded'), finished[0] / 'library'
    rows = [{'clip': f'clips/{i:04d}.mp4', 'mq': (0.9, 0.2)[i % 2], 'vq': (0.2, 0.9)[i % 2]} for i in range(8)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / 'graded.parquet')
    small.run(workdir, 'score', **{'data.clips': folder / 'graded.parquet'})
    return workdir


@pytest.fixture(scope='module')
def step(finished):
    """[(name, hash)] of the program that is the step of the finished run."""
    with Compilations() as seen:
        compile_train(small.built(finished[0]))
    return [program for program in seen.reused if program[0] == 'jit_train_step']


def beta(t, mean, kappa):
    return stats.beta.cdf(t, mean * kappa, (1 - mean) * kappa)


def shifted(t, shift):
    """u of t = shift u / (1 + (shift - 1) u)."""
    return t / (shift - (shift - 1) * t)


# kind: (its settings, P(t' <= t) of a clip with (mq, vq) = (0.9, 0.2), and of one with (0.2, 0.9)), from the papers' formulas
LAWS = {
    'uniform': ({'law.shift': 3.0}, lambda t: shifted(t, 3), lambda t: shifted(t, 3)),
    'beta': ({}, lambda t: beta(t, 0.85, 2 + 6 * 0.7), lambda t: beta(t, 0.15, 2 + 6 * 0.7)),
    'exact_base': ({'law.base': 'logit_normal', 'law.loc': 0.5}, lambda t: beta(stats.norm.cdf(logit(t) - 0.5), 0.85, 2 + 6 * 0.7),
                   lambda t: beta(stats.norm.cdf(logit(t) - 0.5), 0.15, 2 + 6 * 0.7)),
    'offset': ({'law.offset': 1.5}, lambda t: expit(logit(t) - 1.5), lambda t: expit(logit(t) + 1.5)),
    'min_noise': ({'law.strength': 0.5}, lambda t: np.clip((t - 0.4) / 0.6, 0, 1), lambda t: np.clip((t - 0.05) / 0.95, 0, 1)),
}


@pytest.mark.parametrize('kind', [pytest.param(kind, marks=pytest.mark.long) if kind in ('offset', 'min_noise') else kind for kind in LAWS])
def test_every_law_draws_its_timesteps_by_the_same_program(graded, step, tmp_path, kind):
    settings, moving, looking = LAWS[kind]
    workdir = shutil.copytree(graded, tmp_path / 'run')
    clips = json.loads((graded / 'config.json').read_text())['data']['clips']
    changes = {'data.clips': clips, 'law.kind': kind, 'train.steps': 12, 'checkpoint.every': 12, 'eval.every': 12, **settings}
    with Compilations() as seen:
        loop.train(small.built(workdir, **changes))
    assert [program for program in seen.reused if program[0] == 'jit_train_step'] == step != [], 'this law made a program of its own'
    counts, edges = np.load(workdir / 'drawn.npz')['counts'], np.arange(1, 40) / 40
    assert counts[[0, 3]].sum() == 0 and counts.sum() == 12 * BATCH
    for row, law in ((counts[2], moving), (counts[1], looking)):
        gap = np.abs(np.cumsum(row)[:-1] / row.sum() - law(edges)).max()
        assert gap < 1.95 / np.sqrt(row.sum()), f'{kind}: off by {gap:.3f}'  # Kolmogorov-Smirnov at 0.001


@pytest.fixture
def drawn(monkeypatch):
    """The arrays of every batch that the training loop gives to the step."""
    seen, give = [], loop.to_global
    monkeypatch.setattr(loop, 'to_global', lambda arrays, mesh: (seen.append(arrays), give(arrays, mesh))[1])
    return seen


def test_two_buckets_are_two_programs_and_every_clip_is_drawn(tmp_path, compiled, drawn, capsys):
    small.moving(tmp_path / 'clips', [f'{i}.mp4' for i in range(5)])
    small.moving(tmp_path / 'clips', ['wide0.mp4', 'wide1.mp4'], size=(32, 64))
    with Compilations() as seen:
        small.run(tmp_path / 'run', **{'data.clips': tmp_path / 'clips', 'data.buckets': ((16, 16, 4), (16, 8, 4)), 'data.dropout': 'none'})
    assert seen.names.count('jit(train_step)') == 2
    out = capsys.readouterr().out
    assert 'compiled 16x16x4' in out and 'compiled 16x8x4' in out
    assert {batch.video.shape for batch in drawn} == {(8, 4, 16, 16, 3), (8, 4, 8, 16, 3)}
    assert set(np.concatenate([batch.clip for batch in drawn])) == set(range(7))


def test_two_sources_are_mixed_and_weighed_as_asked(tmp_path, compiled, drawn):
    small.moving(tmp_path / 'web', [f'{i}.mp4' for i in range(6)])
    small.moving(tmp_path / 'studio', [f'{i}.mp4' for i in range(2)], size=(32, 40))
    mix = {'web': {'rate': 1.0, 'weight': 0.5}, 'studio': {'rate': 3.0, 'weight': 2.0}}
    small.run(tmp_path / 'run', **{'data.clips': f'web={tmp_path}/web,studio={tmp_path}/studio', 'data.mix': mix, 'train.steps': 4})
    clip, weight = (np.concatenate([getattr(batch, key) for batch in drawn]) for key in ('clip', 'weight'))
    source = pyarrow.parquet.read_table(tmp_path / 'run/scores.parquet')['source'].to_numpy(zero_copy_only=False)[clip]
    assert np.sum(source == 'studio') == 24 and set(weight[source == 'studio']) == {2.0} and set(weight[source == 'web']) == {0.5}


def test_accumulation_is_the_same_run(finished, tmp_path):
    workdir = shutil.copytree(finished[0], tmp_path / 'run', ignore=shutil.ignore_patterns('checkpoints', '*.jsonl', 'report.html'))
    loop.train(small.built(workdir, **{'train.accumulate': 2, 'train.steps': 2}))
    whole, sliced = (next(line for line in read_metrics(path / 'metrics.jsonl') if 'loss' in line) for path in (finished[0], workdir))
    assert whole['step'] == sliced['step'] == 2
    for name in ('loss', 'grad_norm'):
        assert sliced[name] == pytest.approx(whole[name], rel=1e-5)


def test_a_batch_of_another_shape_is_an_error_and_no_compilation(finished):
    run = small.built(finished[0])
    with Compilations() as seen, pytest.raises(TypeError, match='compiled with'):
        bucket, program = next(iter(compile_train(run).items()))
        batch = run.loader(0, np.resize(np.flatnonzero(run.library.bucket == bucket), BATCH))
        program(run.abstract_state, run.abstract_frozen, dataclasses.replace(batch, video=batch.video[:, :2]))
    assert seen.names.count('jit(train_step)') == 1
