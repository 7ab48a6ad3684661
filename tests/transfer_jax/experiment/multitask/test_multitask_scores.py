"""Many tasks with a rare class: scores of known size, predictions that are kept, and choices by the main score."""
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import scipy.stats
import sklearn.metrics

from configs import multitask as shipped
from transfer_jax import main as program
from transfer_jax.experiment.config import MultitaskConfig
from transfer_jax.experiment.multitask import run as job
from transfer_jax.experiment.multitask.job import choose
from transfer_jax.runtime.config import instance, override
from transfer_jax.runtime.errors import UserError

TASKS, ROWS, RARE, DISTANCE = 4, 600, 0.06, 1.5
SEEDS = (0, 3)


def rare(path):
    """Domains with one feature, normal around 0, and around DISTANCE for the class 'yes' of 6 % of the rows; their table."""
    rng = np.random.default_rng(0)
    y = np.tile(np.arange(ROWS) < RARE * ROWS, TASKS)
    table = {'x': (rng.normal(size=(len(y), 1)) + DISTANCE * y[:, None]).astype(np.float32), 'y': np.where(y, 'yes', 'no'),
             'd': np.repeat([f't{number}' for number in range(TASKS)], ROWS)}
    np.savez(path, **table)
    return table


def config(**changes):
    few = {'methods': ('single', 'pooled'), 'seeds': SEEDS, 'steps': 60, 'hidden': (), 'decay': (0.0,), 'learning_rate': 0.1}
    changes = {key.replace('__', '.'): value for key, value in changes.items()}
    return override(instance(MultitaskConfig, shipped.get_config()), {f'multitask.{key}': value for key, value in few.items()} | changes)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """(work directory, table, its config, results)."""
    folder = tmp_path_factory.mktemp('rare')
    table, mine = rare(folder / 'rare.npz'), config(data__path=str(folder / 'rare.npz'))
    program.multitask(mine, folder)
    return folder, table, mine, json.loads((folder / 'results.json').read_text())


def test_the_scores_of_two_normal_populations(run):
    """A linear model of one feature ranks as the feature does, so its AUC is that of the data: Phi(d / sqrt 2), within its error."""
    folder, table, _, results = run
    assert results['positive'] == 'yes' and results['measure'] == 'accuracy'
    majority = 1 - RARE
    entry = results['methods']['single']['scores']
    assert max(abs(np.array(entry['accuracy']['test']) - majority)) < 0.02, 'accuracy is that of the majority'
    assert max(abs(np.array(entry['balanced_accuracy']['test']) - 0.5)) < 0.15
    kept = pq.read_table(folder / 'predictions.parquet').to_pydict()
    kept = {name: np.array(values) for name, values in kept.items()}
    for name in ('single', 'pooled'):
        for number, seed in enumerate(SEEDS):
            of_tasks = []
            for task in range(TASKS):
                here = (kept['method'] == name) & (kept['seed'] == seed) & (kept['target'] == f't{task}')
                rows = kept['row'][here]
                x, y = (table[key][table['d'] == f't{task}'][rows] for key in 'xy')
                assert (kept['label'][here] == y).all()
                of_tasks.append(sklearn.metrics.roc_auc_score(y == 'yes', x[:, 0]))
            assert results['methods'][name]['scores']['auc']['test_by_task'][number] == pytest.approx(np.mean(of_tasks), abs=1e-6)
    mean, error = results['summary']['single']['auc']['test_by_task']
    assert abs(mean - scipy.stats.norm.cdf(DISTANCE / 2**0.5)) < 0.06 and 0 < error < 0.05  # 4 errors: 18 rows of a task are rare


def test_predictions_hold_every_test_row_once(run):
    folder, _, _, results = run
    table = pq.read_table(folder / 'predictions.parquet')
    assert table.column_names == ['target', 'method', 'seed', 'row', 'label', 'p_no', 'p_yes']
    assert len(table) == 2 * len(SEEDS) * TASKS * ROWS / 2 == len(set(zip(*(table[name].to_pylist() for name in (
        'target', 'method', 'seed', 'row')), strict=True)))
    p = np.stack([table['p_no'].to_numpy(), table['p_yes'].to_numpy()], 1)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
    here = (np.array(table['method'].to_pylist()) == 'pooled') & (np.array(table['seed'].to_pylist()) == 3)
    labels = np.array(table['label'].to_pylist())[here]
    assert results['methods']['pooled']['scores']['log_loss']['test'][1] == pytest.approx(
        sklearn.metrics.log_loss(labels, p[here], labels=['no', 'yes']), rel=1e-4)


def test_the_report_and_the_table_have_all_scores(run, capsys):
    folder, _, mine, results = run
    page = (folder / 'report.html').read_text()
    assert all(word in page for word in ('AUC', 'average precision', 'balanced accuracy', 'log-loss', 'Calibration'))
    program.multitask(mine, folder)
    printed = capsys.readouterr().out
    mean, error = results['summary']['pooled']['average_precision']['test_by_task']
    assert f'{mean:.4f} ± {error:.4f}' in printed and f'{mean:.4f} ± {error:.4f}' in page


def test_fewer_scores_train_nothing_and_another_main_score_chooses_again(run, monkeypatch):
    folder, _, mine, results = run

    def solve(section, domains):
        raise RuntimeError('it trains')
    monkeypatch.setattr(job, 'solve', solve)
    fewer = override(mine, {'multitask.metrics': ('accuracy', 'auc'), 'multitask.predictions': False})
    program.multitask(fewer, folder)
    again = json.loads((folder / 'results.json').read_text())['summary']['pooled']
    assert list(again) == ['accuracy', 'auc'] and again['auc'] == results['summary']['pooled']['auc']
    with pytest.raises(RuntimeError, match='it trains'):
        program.multitask(override(mine, {'multitask.metrics': ('auc',)}), folder)


def test_a_task_of_one_class_has_no_ranking_and_is_left_out_of_its_mean(tmp_path, capsys):
    table = rare(tmp_path / 'rare.npz')
    few = np.arange(len(table['y'])) % 6 == 0
    table = {name: values[few] for name, values in table.items()} | {'y': np.where(table['d'] == 't1', 'no', table['y'])[few]}
    np.savez(tmp_path / 'one.npz', **table)
    program.multitask(config(data__path=str(tmp_path / 'one.npz'), data__classes='union', multitask__methods=('uowq_static',),
                             multitask__steps=10), tmp_path)
    results = json.loads((tmp_path / 'results.json').read_text())
    assert 'test rows of 1 of 4 tasks lack a class in some seed (first: task \'t1\', seed number 0, class \'yes\')' in results['notes'][0]
    assert results['notes'][0] in capsys.readouterr().out
    scores = results['methods']['uowq_static']['scores']
    assert all(np.isfinite(scores[name][key]).all() for name in scores for key in scores[name])
    assert np.isfinite(results['methods']['uowq_static']['weights']).all()
    kept = {name: np.array(values) for name, values in pq.read_table(tmp_path / 'predictions.parquet').to_pydict().items()}
    of = lambda task: (kept['seed'] == 0) & (kept['target'] == task)
    expected = [sklearn.metrics.roc_auc_score(kept['label'][of(task)] == 'yes', kept['p_yes'][of(task)]) for task in ('t0', 't2', 't3')]
    assert scores['auc']['test_by_task'][0] == pytest.approx(np.mean(expected), abs=1e-5)


def test_scores_that_cannot_serve_are_refused_before_anything_is_read(tmp_path):
    with pytest.raises(UserError, match=r"config\.multitask\.metrics: 'auc' is a score of a classification, and this is a regression"):
        program.multitask(config(multitask__metrics=('auc',)), tmp_path)
    with pytest.raises(UserError, match="'rmse' is a score of a regression"):
        program.multitask(config(multitask__metrics=('rmse',), data__path='nowhere'), tmp_path)


def test_choices_are_by_the_main_score_then_by_the_loss_and_never_by_none():
    best, names = None, ('auc', 'log_loss')
    tries = [(None, 0.5), (0.7, 0.9), (0.7, 0.4), (0.6, 0.1), (None, 0.0), (0.7, float('nan'))]
    for step, (auc, loss) in enumerate(tries):
        found = [{'auc': auc, 'log_loss': loss}, {'auc': 0.5, 'log_loss': float(step)}]
        best = choose(best, found, names, {'step': step}, np.full(1, step), lambda step=step: np.full((2, 1, 1, 1), step))
    assert [one['step'] for one in best.settings] == [2, 0] and best.outputs.ravel().tolist() == [2, 0] and best.weights.tolist() == [2]
