"""Study 1 in seconds: nothing is left out, what was stopped goes on to the same numbers, and the page says what the JSON says."""
import ast
import dataclasses
import json
import shlex
from types import SimpleNamespace
from unittest import mock

import jax
import numpy as np
import pytest
from study_small import ARMS, SEEDS, config

from benchmarks.studies.claims import tqd as table
from benchmarks.studies.pages import tqd as table_page
from benchmarks.studies.pages.tqd_values import MEASURES
from benchmarks.studies.training.arms import plan
from benchmarks.studies.training.build import build, trainer_of
from benchmarks.studies.training.jobs import _first, golden_loss
from benchmarks.studies.training.rows import Row
from benchmarks.studies.training.weights import load_weights
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.progress import Stopped
from transfer_jax.runtime.store import Store


def cheap(frames, clips=None):
    """Measures without a tracker: numbers of the frames."""
    mean, spread = float(np.mean(frames)) / 255, float(np.std(frames)) / 255
    return {key: spread for key in MEASURES if key != 'loss'} | {'both': mean, 'speed': mean, 'frechet': float('nan')}


@pytest.fixture(scope='module')
def study(tmp_path_factory):
    return build(config().sizes['smoke'], tmp_path_factory.mktemp('study'), devices=jax.devices()[:2])


@pytest.fixture(scope='module')
def finished(study, tmp_path_factory):
    """(folder, results) of a whole run of the program's main."""
    folder = tmp_path_factory.mktemp('results')
    with mock.patch.object(table, 'build', lambda *_, **__: study), mock.patch.object(table, 'make_evaluator', lambda study: cheap):
        table.main(config(results=str(folder)), folder / 'work')
    return folder, json.loads((folder / 'tqd_smoke.json').read_text())


def test_groups_hold_every_row_once_and_of_no_rows_there_are_none(study):
    gpu = dataclasses.replace(study, devices=study.devices[:1])
    with mock.patch.object(jax, 'default_backend', lambda: 'gpu'):
        assert gpu.groups([]) == [] and gpu.groups([*range(7)]) == [[*range(7)]]
    assert study.groups([]) == [] and study.groups([*range(5)]) == [[0, 1], [2, 3], [4]]


def test_every_arm_seed_and_regime_is_in_the_json(finished):
    _, results = finished
    runs = {(run['regime'], run['arm'], run['seed']): run for run in results['runs']}
    expected = {(regime, arm, seed) for regime in ('finetune', 'scratch') for arm in ARMS for seed in SEEDS}
    assert set(runs) == expected | {('pretrain', 'A uniform', seed) for seed in SEEDS}
    size = config().sizes['smoke']
    for (regime, arm, _), run in runs.items():
        assert [point['step'] for point in run['curve']] == list(range(size.every, getattr(size, regime) + 1, size.every))
        assert sum(run['t_histogram']) == getattr(size, regime) * size.batch
        assert all(len(point['loss']) == 10 and np.isfinite(point['loss']).all() for point in run['curve'])
        measured = ['measures' in point for point in run['curve']]
        assert measured[-1] and all(measured) == (arm == 'C uniform' or regime == 'pretrain' or len(measured) == 1)
        assert run['curve'][-1]['measures']['frechet'] is None  # JSON has no NaN


def test_the_page_says_what_the_json_says(finished):
    folder, results = finished
    text = (folder / 'tqd.md').read_text()
    for regime in ('finetune', 'scratch'):
        for arm in ARMS:
            own = [run['curve'][-1] for run in results['runs'] if (run['regime'], run['arm']) == (regime, arm)]
            mean = np.mean([point['measures']['both'] for point in own])
            assert f'| {arm} | {mean:.3f} [' in text
        for kind in ('measures', 'loss', 't', 'samples'):
            assert f'](tqd_smoke_{regime}_{kind}.png)' in text and (folder / f'tqd_smoke_{regime}_{kind}.png').stat().st_size > 1000
    assert 'true golden clips' in text and '| pretrain | 8 |' in text and '| nan |' not in text.lower()


def test_the_first_row_of_convergence_is_a_network_that_adds_nothing(study, finished):
    folder, results = finished
    nothing = jax.tree.map(lambda leaf: np.zeros((2, *leaf.shape), leaf.dtype), study.abstract_params)
    np.testing.assert_allclose(results['start'], golden_loss(study, study.shard(nothing))[0], rtol=1e-6)
    assert f'| the linear guess | 0 |{9 * " — |"} {np.mean(results["start"]):.5f} |' in (folder / 'tqd.md').read_text()


def test_the_command_on_the_page_asks_for_what_was_run(finished):
    folder, results = finished
    command = table_page.command(results)
    assert f'`{command}`' in (folder / 'tqd.md').read_text()
    words = [word.removeprefix('--config.') for word in shlex.split(command)[4:]]
    values = {key: ast.literal_eval(value) if '(' in value else value for key, value in (word.split('=', 1) for word in words)}
    assert values == {'size': 'smoke', 'seeds': tuple(SEEDS), 'arms': tuple(ARMS), 'regimes': ('finetune', 'scratch')}
    assert '--config.arms' not in table_page.command(results | {'arms': dict.fromkeys(table.ARMS)})


def test_fine_tuning_starts_from_the_seeds_pretrained_weights(study, finished):
    early, late = (load_weights(study, 1, step) for step in (4, 8))
    other = load_weights(study, 2, 8)
    assert jax.tree.structure(late) == jax.tree.structure(study.abstract_params)
    assert np.abs(late['patch_out']['kernel'] - early['patch_out']['kernel']).max() > 0
    assert np.abs(late['patch_in']['kernel'] - other['patch_in']['kernel']).max() > 0.01
    rows = [Row(regime='finetune', arm=ARMS[0], plan=0, seed=seed) for seed in (2, 1)]
    start = _first(study, rows, study.runs([0, 0], ['a', 'b']))
    for place, whole in enumerate((other, late)):
        jax.tree.map(lambda one, own, place=place: np.testing.assert_array_equal(one[place], own), start, whole)


def test_a_stopped_study_goes_on_to_the_same_numbers(study, finished, tmp_path):
    """It stops after every third segment, with a checkpoint in between, and once it is killed while the records of a group are saved."""
    again, stops = dataclasses.replace(study, store=Store(tmp_path)), 0
    while True:
        stop, calls = SimpleNamespace(requested=False), []

        def evaluate(frames, calls=calls, stop=stop):
            calls.append(1)
            stop.requested = len(calls) >= 3
            return cheap(frames)
        try:
            table.train(again, ARMS, ('finetune', 'scratch'), SEEDS, evaluate, stop)
            break
        except Stopped:
            stops += 1
            if stops == 2:
                next(tmp_path.glob('*/*/seed*.json')).unlink()  # arrays are there, the record that vouches for them is not
    assert 4 < stops < 20
    assert not list(tmp_path.glob('group*'))
    strip = lambda runs: [{key: [{k: v for k, v in point.items() if k != 'seconds'} for point in value] if key == 'curve' else value
                           for key, value in run.items() if key != 'seconds'} for run in runs]
    runs = table.collect(again, ARMS, ['finetune', 'scratch'], SEEDS)['runs']
    for one, other in zip(strip(runs), strip(finished[1]['runs']), strict=True):
        assert flat(one) == pytest.approx(flat(other), rel=1e-5)


def train_from_scratch(study, arms, seeds, stop):
    """table.train of some of the arms, with the plans of all: their number is a shape, and its program is compiled already."""
    material = study.material([plan(table.ARMS[arm], study.clips) for arm in [*ARMS, table.PRETRAIN_ARM]])
    calls = [[row for row in call if row.arm in arms] for call in table.plan_rows(ARMS, ('scratch',), seeds)]
    table.run_calls(study, [call for call in calls if call], material, cheap, stop)


def test_killed_between_two_records_of_a_group_it_goes_on_from_their_checkpoint(study, finished, tmp_path, monkeypatch):
    again, save, names = dataclasses.replace(study, store=Store(tmp_path)), Store.save, []
    run = lambda study, *arms: train_from_scratch(study, arms, SEEDS[:2], SimpleNamespace(requested=False))

    def killed(store, name, *rest):
        if name.startswith('scratch/A_uniform') and len(names) == 1:
            raise KeyboardInterrupt
        names.append(name)
        save(store, name, *rest)
    monkeypatch.setattr('benchmarks.studies.training.jobs.SAVE_EVERY', -1.0)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Store, 'save', killed)
        run(again, 'A uniform')
    assert again.store.record(names[0]) and len(list(tmp_path.glob('group*'))) == 1
    steps, advance = [], study.trainer.advance
    recorded = lambda material, carry, runs: (steps.append(int(carry.state.step[0])), advance(material, carry, runs))[1]
    again = dataclasses.replace(again, trainer=dataclasses.replace(study.trainer, advance=recorded))
    run(again, 'B tqd', 'A uniform')  # with another arm
    assert steps == [4, 0, 4], 'the last segment of the group, and the other arm'
    assert not list(tmp_path.glob('group*'))
    end = lambda store, name: flat({key: value for key, value in store.record(name)['curve'][-1].items() if key != 'seconds'})
    for seed in SEEDS[:2]:
        name = f'scratch/A_uniform/seed{seed}'
        assert end(again.store, name) == pytest.approx(end(study.store, name), rel=1e-5)


@pytest.mark.long
def test_a_checkpoint_of_another_number_of_devices_is_made_anew(study, finished, tmp_path, monkeypatch):
    """One run begins on one device and goes on on two, where its group has a second run to fill them."""
    again, stop, devices = dataclasses.replace(study, store=Store(tmp_path)), SimpleNamespace(requested=True), study.devices[:1]
    one = dataclasses.replace(again, devices=devices, trainer=trainer_of(study.size, study.config, study.objective, devices))
    with pytest.raises(Stopped):
        train_from_scratch(one, ['A uniform'], SEEDS[:1], stop)
    left = next(tmp_path.glob('group*.unfinished'))
    stop.requested = False
    train_from_scratch(again, ['A uniform'], SEEDS[:1], stop)
    assert not left.exists()
    end = lambda store: flat({'loss': store.record('scratch/A_uniform/seed0')['curve'][-1]['loss']})
    assert end(again.store) == pytest.approx(end(study.store), rel=1e-3)


def flat(run):
    """{place: number} of a record, texts and all."""
    leaves = jax.tree.leaves_with_path(run)
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves if not isinstance(leaf, str)}


def test_another_arm_trains_only_itself(study, finished, tmp_path):
    calls = []
    with mock.patch('benchmarks.studies.training.jobs._train', lambda study, group, *_: calls.append([row.name for row in group])):
        table.train(study, [*ARMS, 'A reversed'], ('scratch',), SEEDS, cheap, SimpleNamespace(requested=False))
    assert [name for call in calls for name in call] == [f'scratch/A_reversed/seed{seed}' for seed in SEEDS]
    assert [len(call) for call in calls] == [2, 1]  # one a device


def test_a_loss_that_is_not_finite_is_an_error(study, tmp_path):
    broken = dataclasses.replace(study, store=Store(tmp_path), trainer=dataclasses.replace(
        study.trainer, advance=lambda material, carry, runs: (carry, np.array([0.1, np.nan]))))
    words = r'scratch/A_uniform/seed1 is not finite at step 4; lower config\.sizes\.NAME\.learning_rate = 0\.003 of this size'
    with pytest.raises(UserError, match=words):
        table.train(broken, ['A uniform'], ('scratch',), SEEDS, cheap, SimpleNamespace(requested=False))
