"""Killed, stopped or extended, a transfer run ends as one that was never interrupted; what it cannot go on from is named."""
import json
import pathlib
import shutil
import signal

import numpy as np
import pytest
import transfer_job

from transfer_jax.experiment.training.trainer import Trainer
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.metrics import read_metrics

STEPS, SEGMENT = 240, 10


def changes(data, **more):
    return {'data.path': data, 'targets': "('a',)", 'transfer.methods': "('target_only','uowq')", 'train.min_steps': STEPS,
            'train.segment': SEGMENT, **more}


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp('data') / 'all.npz'
    np.savez(path, **transfer_job.table())
    return path


@pytest.fixture(scope='module')
def program():
    return transfer_job.Program()


@pytest.fixture(scope='module')
def straight(data, tmp_path_factory):
    """The work directory of a run that nothing interrupted."""
    workdir = tmp_path_factory.mktemp('straight')
    transfer_job.run(workdir, **changes(data))
    return workdir


def timeless(value):
    """A record without its times."""
    if isinstance(value, dict):
        return {key: timeless(inner) for key, inner in value.items() if not key.endswith('seconds')}
    return [timeless(inner) for inner in value] if isinstance(value, list) else value


def same_end(workdir, straight):
    """Asserts that both ended with the same results, parameters, policies and metrics, and nothing unfinished."""
    ours, theirs = (timeless({**transfer_job.results(folder), 'config': None, 'devices': None}) for folder in (workdir, straight))
    assert ours == theirs
    fits = {path.relative_to(straight) for path in straight.rglob('*.npz')}
    assert fits == {path.relative_to(workdir) for path in workdir.rglob('*.npz')} and len(fits) >= 6
    for fit in fits:
        result, reference = np.load(workdir / fit), np.load(straight / fit)
        assert all(np.array_equal(result[name], reference[name]) for name in reference.files)
        log = pathlib.Path('targets/a/logs', fit.stem, 'metrics.jsonl')
        assert read_metrics(workdir / log) == read_metrics(straight / log)
    assert not list(workdir.rglob('*.unfinished'))


def test_stopped_and_then_killed_in_the_middle_of_a_fit_it_ends_as_if_it_had_not_been(program, data, straight, tmp_path):
    fit, log = tmp_path / 'targets/a/uowq', tmp_path / 'targets/a/logs/uowq'
    checkpoint_names = lambda: [path.name for path in fit.with_suffix('.unfinished').iterdir()]
    code, out, err = program(tmp_path, signalled=(signal.SIGTERM, log, 5 * SEGMENT), **changes(data))
    assert code == 0 and 'stopped and saved; the same command goes on from there' in out and 'Traceback' not in err, err
    assert checkpoint_names() == [str(5 * SEGMENT)] and not (tmp_path / 'results.json').exists()
    code, _, err = program(tmp_path, signalled=(signal.SIGKILL, log, 9 * SEGMENT), **changes(data, **{'checkpoint.seconds': 0}))
    assert code == -signal.SIGKILL and checkpoint_names() == [str(8 * SEGMENT)] and not fit.with_suffix('.json').exists(), err
    with open(log / 'metrics.jsonl', 'a') as file:
        file.write('{"step": 50, "lo')
    transfer_job.run(tmp_path, **changes(data))
    same_end(tmp_path, straight)


@pytest.fixture
def copy(straight, tmp_path):
    return shutil.copytree(straight, tmp_path / 'copy')


def forbid(*arguments, **keys):
    raise AssertionError('it trains')


def test_a_finished_run_trains_nothing_and_says_the_same(data, straight, copy, monkeypatch, capsys):
    monkeypatch.setattr(Trainer, 'advance', forbid)
    (copy / 'report.html').unlink()
    transfer_job.run(copy, **changes(data))
    same_end(copy, straight)
    assert (copy / 'report.html').exists() and 'uowq' in capsys.readouterr().out


def test_other_scores_and_lost_predictions_are_made_from_the_fits(data, straight, copy, monkeypatch):
    monkeypatch.setattr(Trainer, 'advance', forbid)
    (copy / 'predictions.parquet').unlink()
    (copy / 'targets/a/methods/uowq.npz').unlink()
    results = transfer_job.run(copy, **changes(data, **{'transfer.metrics': "('brier','auc')"}))
    assert (copy / 'predictions.parquet').read_bytes() == (straight / 'predictions.parquet').read_bytes()
    assert results['metrics'] == ['brier', 'auc'] and 0 < results['summary']['uowq']['average']['brier'][0] < 1
    assert results['summary']['uowq']['average']['accuracy'] == transfer_job.results(straight)['summary']['uowq']['average']['accuracy']


def test_another_method_trains_only_its_own_fit(data, straight, copy, compiled):
    before = {path: path.stat().st_mtime_ns for path in (copy / 'targets').rglob('*') if path.is_file()}
    results = transfer_job.run(copy, **changes(data, **{'transfer.methods': "('target_only','all_sources','uowq')"}))
    assert list(results['summary']) == ['target_only', 'all_sources', 'uowq']
    after = {path: path.stat().st_mtime_ns for path in (copy / 'targets').rglob('*') if path.is_file()}
    assert before.items() <= after.items(), 'what was done is done again'
    assert all(path.name.startswith('all_sources') or 'logs/all_sources' in str(path) for path in after.keys() - before.keys())
    assert np.isfinite(results['targets']['a']['all_sources']['predicted']).all()


def test_plans_and_budget_curves_of_other_fits_are_made_again_from_the_fits(data, straight, copy, monkeypatch):
    monkeypatch.setattr(Trainer, 'advance', forbid)
    of_other_fits = json.loads((copy / 'targets/a/plan.json').read_text())
    of_other_fits['of']['fits'], of_other_fits['value'] = 'others', {}
    (copy / 'targets/a/plan.json').write_text(json.dumps(of_other_fits))
    of_an_earlier_version = {'errors': [0.0] * 7, 'otqms_part': 0, 'otqms_error': 0}
    (copy / 'targets/a/budget.json').write_text(json.dumps(of_an_earlier_version))
    again, original = transfer_job.run(copy, **changes(data)), transfer_job.results(straight)
    assert again['plan'] == original['plan'] and again['pareto'] == original['pareto']


def test_a_method_whose_weights_other_constants_decided_is_made_again(data, straight, copy, monkeypatch):
    monkeypatch.setattr(Trainer, 'advance', forbid)
    path = copy / 'targets/a/methods/uowq.json'
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, 'of': {**record['of'], 'temperature': 1.0}, 'weights': []}))
    again, original = transfer_job.run(copy, **changes(data)), transfer_job.results(straight)
    ours, theirs = ({**of['targets']['a']['uowq'], 'control_seconds': 0} for of in (again, original))
    assert ours == theirs and 'of' not in ours
    assert json.loads(path.read_text()) == {**record, 'control_seconds': again['targets']['a']['uowq']['control_seconds']}


def test_checkpoints_that_no_method_goes_on_with_are_named(data, straight, copy, capsys):
    (copy / 'targets/a/old_name.unfinished/40').mkdir(parents=True)
    transfer_job.run(copy, **changes(data))
    line = next(line for line in capsys.readouterr().out.splitlines() if 'unfinished' in line)
    assert line == ('target a: no method of this run goes on with the unfinished fit old_name; run their methods too, or delete '
                    f'{copy}/targets/a/*.unfinished')


def test_another_target_is_added_and_the_first_stays(data, straight, copy, compiled):
    results = transfer_job.run(copy, **changes(data, **{'targets': "('a','b')", 'transfer.methods': "('target_only',)"}))
    original = transfer_job.results(straight)['targets']['a']['target_only']
    assert list(results['targets']) == ['a', 'b'] and results['targets']['a']['target_only'] == original


@pytest.mark.parametrize(('key', 'value', 'words'), [
    ('train.learning_rate', 0.1, 'train.learning_rate: 0.05 -> 0.1'),
    ('seeds', 3, 'seeds: 2 -> 3'), ('data.shots', 3, 'data.shots: 2 -> 3'),
    ('transfer.costs', "{'b':2.0}", "transfer.costs")])
def test_another_config_is_refused_and_nothing_is_touched(data, copy, key, value, words):
    bytes_of = {path: path.read_bytes() for path in copy.rglob('*') if path.is_file()}
    with pytest.raises(UserError, match='holds a run with another config') as error:
        transfer_job.run(copy, **changes(data, **{key: value}))
    assert words in str(error.value) and '\n' not in str(error.value)
    assert bytes_of == {path: path.read_bytes() for path in copy.rglob('*') if path.is_file()}


def test_a_run_with_the_key_names_of_an_earlier_version_is_refused_by_these_names(data, copy):
    path = copy / 'config.json'
    content = json.loads(path.read_text())
    content['train'] = {{'learning_rate': 'rate', 'replicas': 'lanes'}.get(key, key): value for key, value in content['train'].items()}
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match='a run of an earlier version') as error:
        transfer_job.run(copy, **changes(data))
    assert 'train.rate is now train.learning_rate, train.lanes is now train.replicas; use another --workdir' in str(error.value)
    assert json.loads(path.read_text()) == content


def test_other_data_under_the_same_name_are_refused(data, copy, tmp_path):
    table = transfer_job.table()
    original = data.read_bytes()
    try:
        np.savez(data, **{**table, 'y': table['y'][::-1]})
        with pytest.raises(UserError, match=r"splits\.json has other splits of 'a' than these data give"):
            transfer_job.run(copy, **changes(data))
    finally:
        data.write_bytes(original)
