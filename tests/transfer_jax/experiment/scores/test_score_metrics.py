"""Scores against scikit-learn, closed forms and hand-made cases; rows that lack a class; names that a task cannot serve."""
import dataclasses

import numpy as np
import pytest
import scipy.special
import scipy.stats
import sklearn.metrics

from transfer_jax.experiment import results
from transfer_jax.experiment.checks import lacking
from transfer_jax.experiment.config import MultitaskConfig, TransferConfig
from transfer_jax.experiment.data.domains import Domain, Domains
from transfer_jax.experiment.data.splits import Split
from transfer_jax.experiment.scores.absent import absent_classes
from transfer_jax.experiment.scores.calibration import BINS, add, bins_of
from transfer_jax.experiment.scores.classes import answers, rarer
from transfer_jax.experiment.scores.metrics import DEFAULT, METRICS, better, resolve, score
from transfer_jax.experiment.scores.summary import format_pair, mean_and_error, mean_over_first
from transfer_jax.runtime.config import free_keys, rules
from transfer_jax.runtime.errors import UserError

OF_CLASSES = tuple(name for name, metric in METRICS.items() if metric.task == 'classification')


def data(classes, rows=200):
    """(logits [rows, classes], labels). Two classes have ties; more have none, since rounding would break them in ways of its own."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(rows, classes))
    return np.round(2 * logits) / 2 if classes == 2 else logits, rng.integers(0, classes, rows)


def test_two_classes_are_scikit_learns():
    logits, labels = data(2)
    p = scipy.special.softmax(logits, 1)
    for positive in (0, 1):
        found, is_positive = score(logits, labels, OF_CLASSES, positive), labels == positive
        odds = logits[:, positive] - logits[:, 1 - positive]
        assert len(np.unique(odds)) < 30, 'no ties'
        assert found['auc'] == pytest.approx(sklearn.metrics.roc_auc_score(is_positive, odds))
        assert found['average_precision'] == pytest.approx(sklearn.metrics.average_precision_score(is_positive, odds))
        assert found['brier'] == pytest.approx(sklearn.metrics.brier_score_loss(is_positive, p[:, positive]))
        assert found['log_loss'] == pytest.approx(sklearn.metrics.log_loss(labels, p))
        assert found['balanced_accuracy'] == pytest.approx(sklearn.metrics.balanced_accuracy_score(labels, logits.argmax(1)))


def test_more_classes_are_scikit_learns_one_against_the_rest():
    logits, labels = data(4)
    p = scipy.special.softmax(logits, 1)
    found, hits = score(logits, labels, OF_CLASSES, 0), labels[:, None] == np.arange(4)
    assert found['auc'] == pytest.approx(sklearn.metrics.roc_auc_score(labels, p, multi_class='ovr'))
    assert found['average_precision'] == pytest.approx(sklearn.metrics.average_precision_score(hits, p, average='macro'))
    assert found['brier'] == pytest.approx(np.mean(np.sum((p - hits) ** 2, 1)))
    assert found['accuracy'] == pytest.approx(np.mean(logits.argmax(1) == labels))


def test_the_ranking_of_two_normal_populations_has_its_closed_form():
    """AUC = Phi(d / sqrt 2), its standard error by Hanley and McNeil (1982); average precision without information: the prevalence."""
    rng, d, rows = np.random.default_rng(1), 1.2, 40_000
    labels = (rng.random(rows) < 0.06).astype(int)
    informed = np.stack([np.zeros(rows), rng.normal(size=rows) + d * labels], 1)
    auc, positives = scipy.stats.norm.cdf(d / 2**0.5), labels.sum()
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    error = np.sqrt((auc * (1 - auc) + (positives - 1) * (q1 - auc**2) + (rows - positives - 1) * (q2 - auc**2))
                    / (positives * (rows - positives)))
    assert abs(score(informed, labels, ('auc',), 1)['auc'] - auc) < 3 * error < 0.02
    blind = np.stack([np.zeros(rows), rng.normal(size=rows)], 1)
    assert score(blind, labels, ('average_precision',), 1)['average_precision'] == pytest.approx(0.06, abs=0.006)
    constant = score(np.zeros((rows, 2)), labels, ('auc', 'average_precision'), 1)
    assert constant == pytest.approx({'auc': 0.5, 'average_precision': labels.mean()})


def test_calibration_by_hand_and_of_calibrated_probabilities():
    rows = np.log([[0.2, 0.8]] * 10)
    assert score(rows, np.array([1] * 6 + [0] * 4), ('ece',), 1)['ece'] == pytest.approx(0.2)  # .8 said, .6 came true
    three = np.log([[0.5, 0.3, 0.2]] * 10)
    assert score(three, np.array([0] * 9 + [1]), ('ece',), 0)['ece'] == pytest.approx(0.4)  # the most probable class: .5 said, .9 right
    rng = np.random.default_rng(2)
    p = rng.random(60_000)
    assert bins_of(p, rng.random(len(p)) < p).error() < 4 * np.sqrt(BINS / len(p)) * 0.5
    parts = [bins_of(p[:100], p[:100] > 0.5), bins_of(p[100:], p[100:] > 0.5)]
    whole = bins_of(p, p > 0.5)
    np.testing.assert_allclose(add([parts[0], parts[1].plain()]).predicted, whole.predicted)
    assert whole.rows.sum() == len(p) and bins_of(np.array([1.0]), np.array([True])).rows[-1] == 1


def test_a_class_without_rows_is_left_out_and_one_class_alone_has_no_ranking():
    logits, labels = data(3)
    rows = labels != 2
    found = score(logits[rows], labels[rows], OF_CLASSES, 0)
    p = scipy.special.softmax(logits[rows], 1)
    expected = np.mean([sklearn.metrics.roc_auc_score(labels[rows] == number, p[:, number]) for number in (0, 1)])
    assert found['auc'] == pytest.approx(expected)
    right = logits[rows].argmax(1) == labels[rows]
    assert found['balanced_accuracy'] == pytest.approx(np.mean([right[labels[rows] == number].mean() for number in (0, 1)]))
    alone = score(logits[labels == 1], labels[labels == 1], OF_CLASSES, 0)
    assert [name for name, value in alone.items() if value is None] == ['auc', 'average_precision']
    assert score(logits[:0], labels[:0], ('accuracy', 'auc'), 0) == {'accuracy': None, 'auc': None}


def test_test_rows_that_lack_a_class_are_named():
    full, half = np.array([0, 1]), np.array([0, 0])
    line, = absent_classes({'a': [full, full], 'b': [full, half]}, ('no', 'yes'), ('accuracy', 'auc'), 'target')
    assert line.startswith('test rows of 1 of 2 targets lack a class in some seed')
    assert "(first: target 'b', seed number 1, class 'yes'): auc there are of the classes" in line
    assert absent_classes({'a': [full]}, ('no', 'yes'), ('auc',), 'target') == ()
    assert absent_classes({'a': [half]}, ('no', 'yes'), ('accuracy', 'log_loss'), 'target') == ()
    assert absent_classes({'a': [half]}, None, ('rmse',), 'task') == ()


def test_a_target_whose_test_rows_lack_a_class_is_named_by_its_splits():
    domain = lambda name, labels: Domain(name=name, inputs=np.zeros((4, 1), np.float32), labels=np.array(labels, np.int32))
    domains = Domains(domains=(domain('a', [0, 1, 0, 1]), domain('b', [0, 0, 1, 1])), classes=('x', 'y'))
    split = Split(train=np.array([0, 3]), validation=np.zeros(0, int), test=np.array([1, 2]))
    assert lacking(domains, {'a': [split], 'b': [split]}, (0, 1), ('auc',)) == ()
    line, = lacking(domains, {'b': [dataclasses.replace(split, test=np.array([2]))]}, (1,), ('auc',))
    assert line.startswith("test rows of 1 of 1 target lack a class in some seed (first: target 'b', seed number 0, class 'x')")


def test_values_are_scikit_learns():
    rng = np.random.default_rng(3)
    labels, outputs = rng.normal(size=50), rng.normal(size=(50, 1))
    found = score(outputs, labels, ('explained_variance', 'rmse', 'mae'), None)
    assert found == pytest.approx({'explained_variance': sklearn.metrics.r2_score(labels, outputs),
                                   'rmse': sklearn.metrics.root_mean_squared_error(labels, outputs),
                                   'mae': sklearn.metrics.mean_absolute_error(labels, outputs)})
    assert score(outputs, np.ones(50), ('explained_variance', 'mae'), None)['explained_variance'] is None


def test_the_positive_class_is_the_rarer_one_and_the_last_of_equals():
    assert rarer(np.array([0, 1, 1]), 2) == 0 and rarer(np.array([0, 0, 1]), 2) == 1 and rarer(np.array([0, 1]), 2) == 1
    assert answers(np.array([[1000.0, 0.0]]), np.array([0]), 1).log_p.tolist() == [[0.0, -1000.0]]


def test_a_score_that_cannot_serve_is_refused_with_those_that_can():
    assert resolve(None, 'regression', 'transfer.metrics') == DEFAULT['regression'] and resolve(['auc'], 'classification', 'k') == ('auc',)
    with pytest.raises(UserError, match=r"config\.multitask\.metrics: 'auc' is a score of a classification, and this is a regression; "
                                        r'take of explained_variance, rmse, mae'):
        resolve(('rmse', 'auc'), 'regression', 'multitask.metrics')
    with pytest.raises(UserError, match=r"'rmse' is a score of a regression.*take of accuracy, balanced_accuracy, auc"):
        resolve(('rmse',), 'classification', 'transfer.metrics')
    with pytest.raises(UserError, match='names a score twice: auc, auc'):
        resolve(('auc', 'auc'), 'classification', 'transfer.metrics')


def test_means_leave_out_what_has_no_value():
    assert mean_and_error([1.0, None, 3.0]) == pytest.approx((2.0, scipy.stats.sem([1.0, 3.0])))
    assert mean_and_error([None]) == (None, None) and mean_and_error([1.0, np.nan]) == (1.0, None)
    np.testing.assert_equal(mean_over_first([[1, np.nan, np.nan], [3, 5, np.nan]]), [2, 5, np.nan])
    assert format_pair((None, None)) == '-' and format_pair((0.5, 0.01)) == '0.500 ± 0.010'


def test_negative_transfer_by_a_score_where_lower_is_better():
    of = lambda losses: {'test': [{'accuracy': 0.5, 'loss': 1.0, 'log_loss': loss} for loss in losses], 'drawn': [1], 'seconds': 0.0,
                         'shared_seconds': 0.0, 'control_seconds': 0.0}
    rows = results.summary({'x': {'target_only': of([1.0, 1.0, 1.0, 1.0]), 'other': of([0.5, 1.5, 1.0, None])}}, ('log_loss',))
    assert rows['other']['negative'] == 0.25 and rows['other']['average']['log_loss'][0] == pytest.approx(1.0)
    assert better('auc', [0.6, 0.5, np.nan], [0.5, 0.6, 0.5]).tolist() == [True, False, False]


def test_both_jobs_take_the_same_scores_and_a_finished_run_may_change_them():
    for schema, section in ((TransferConfig, 'transfer'), (MultitaskConfig, 'multitask')):
        names, kept = (rules(schema)[f'{section}.{key}'] for key in ('metrics', 'predictions'))
        assert names.accepts(None) and all(names.accepts((name,)) for name in METRICS), section
        assert not names.accepts(('half_squared',)) and not names.accepts(()) and not kept.accepts(None), section
        assert {f'{section}.metrics', f'{section}.predictions'} <= set(free_keys(schema)), section
