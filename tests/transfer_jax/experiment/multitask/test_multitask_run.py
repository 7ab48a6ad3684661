"""The multi-task job from its shipped config, shrunk: what it leaves, that it goes on, and its bad input."""
import json

import numpy as np
import pytest

from configs import multitask as shipped
from transfer_jax import main as program
from transfer_jax.experiment.config import MultitaskConfig
from transfer_jax.experiment.multitask import run as job
from transfer_jax.runtime.config import instance, override
from transfer_jax.runtime.errors import UserError


def small(**changes):
    """The shipped config at two methods, two seeds and few steps."""
    few = {'methods': ('single', 'uowq_static'), 'seeds': (0, 1), 'steps': 20, 'hidden': (), 'decay': (0.01,)}
    small = {f'multitask.{key}': value for key, value in few.items()}
    changes = {key.replace('__', '.'): value for key, value in changes.items()}
    return override(instance(MultitaskConfig, shipped.get_config()), small | changes)


def school(path):
    """Three tasks of two features as cells of a .mat file."""
    from scipy.io import savemat
    rng = np.random.default_rng(0)
    x, y = np.empty((1, 3), object), np.empty((1, 3), object)
    for task in range(3):
        x[0, task] = rng.normal(size=(40, 2))
        y[0, task] = (x[0, task] @ [1.0, -1.0] + 0.1 * rng.normal(size=40))[:, None]
    savemat(path, {'X': x, 'Y': y})
    return str(path)


@pytest.fixture(scope='module')
def run_folder(tmp_path_factory):
    workdir = tmp_path_factory.mktemp('multitask')
    program.multitask(small(), workdir)
    return workdir


def test_a_run_leaves_results_and_a_report(run_folder):
    results = json.loads((run_folder / 'results.json').read_text())
    assert list(results['methods']) == ['single', 'uowq_static'] and len(results['names']) == 12
    assert results['measure'] == 'explained variance' and len(results['methods']['uowq_static']['test']) == 2
    weights = np.array(results['methods']['uowq_static']['weights'])
    assert weights.shape == (12, 12) and np.all(np.diag(weights) == 1) and results['methods']['single']['weights'] is None
    page = (run_folder / 'report.html').read_text()
    assert 'uowq_static' in page and page.count('<svg') == 1


def test_a_finished_method_is_not_trained_again(run_folder, monkeypatch):
    before = (run_folder / 'results.json').read_text()
    monkeypatch.setattr(job, 'solve', lambda *arguments: pytest.fail('a finished method was trained again'))
    program.multitask(small(), run_folder)
    assert json.loads((run_folder / 'results.json').read_text())['methods'] == json.loads(before)['methods']


def test_another_config_is_refused(run_folder):
    with pytest.raises(UserError, match=r'multitask\.steps: 20 -> 30'):
        program.multitask(small(multitask__steps=30), run_folder)


def test_tasks_from_a_file(tmp_path):
    config = small(data__path=school(tmp_path / 'school.mat'), data__features='X', data__labels='Y', data__domain=None,
                   data__task='regression', multitask__steps=200)
    (tmp_path / 'run').mkdir()
    program.multitask(config, tmp_path / 'run')
    results = json.loads((tmp_path / 'run/results.json').read_text())
    assert len(results['names']) == 3
    assert np.mean(results['methods']['uowq_static']['test']) > 0.9, 'identical tasks, hardly any noise'
