"""Every method on a problem with one source that helps and one that harms; their parts against other libraries; and what is scored."""
import itertools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
import transfer_small as small
from scipy.optimize import minimize
from sklearn.metrics import accuracy_score, log_loss, r2_score

from transfer_jax.experiment import results
from transfer_jax.experiment.config import ALL
from transfer_jax.experiment.methods import correlation, h_ensemble, mcw
from transfer_jax.experiment.methods.registry import METHODS
from transfer_jax.experiment.plots import prediction_against_loss

SEEDS, HELPS, HARMS = 5, 0, 1
MAY_AGREE = ({'otqms_exact', 'otqms_over'},  # the same whole numbers of samples where theta_0 hardly moves any more: it is a convex fit
             {'uowq', 'uowq_static'})  # the folds have nothing against the weights of G


@pytest.fixture(scope='module')
def lab(tmp_path_factory, compiled):
    domains = small.blobs()
    trainer = small.trainer(domains, segment=20)
    return small.lab(tmp_path_factory.mktemp('fits'), domains, trainer=trainer, min_steps=100, epochs=20.0, seeds=SEEDS)


@pytest.fixture(scope='module')
def outcomes(lab):
    """{method: its Outcome}."""
    return {name: run(lab) for name, run in METHODS.items()}


@pytest.fixture(scope='module')
def losses(lab, outcomes):
    """{method: mean test loss over seeds}, by scikit-learn."""
    loss = lambda out, rows: log_loss(lab.labels[rows], jax.nn.softmax(out[rows]), labels=range(3))
    return {name: np.mean([loss(out, split.test) for out, split in zip(outcome.outputs, lab.splits, strict=True)])
            for name, outcome in outcomes.items()}


# --- all methods

@pytest.mark.parametrize('name', METHODS)
def test_an_outcome_is_whole(lab, outcomes, name):
    outcome = outcomes[name]
    assert outcome.outputs.shape == (SEEDS, len(lab.labels), 3) and np.isfinite(outcome.outputs).all()
    for values in (outcome.weights, outcome.quantities):
        assert values is None or (values.shape == (SEEDS, 2) and np.isfinite(values).all() and (values >= 0).all())
    assert outcome.quantities is None or (outcome.quantities <= lab.sizes).all()
    trains = name not in ('h_ensemble', 'mcw')
    assert outcome.draws.shape == (SEEDS,) and (outcome.draws > 0).all() == trains and min(outcome.seconds, outcome.shared_seconds) >= 0
    for event in outcome.history:
        assert event['weights'].shape == event['quantities'].shape == (SEEDS, 2)
    dynamic = name in ('wadn', 'otqms', 'otqms_published', 'uowq_dynamic')
    assert len(outcome.history) >= 3 if dynamic else outcome.history == ()


def test_no_two_methods_agree_by_accident(outcomes):
    for one, other in itertools.combinations(METHODS, 2):
        same = [np.array_equal(a, b) for a, b in zip(outcomes[one].outputs, outcomes[other].outputs, strict=True)]
        alike = all(np.array_equal(getattr(outcomes[one], part), getattr(outcomes[other], part)) for part in ('weights', 'quantities'))
        assert not all(same) or ({one, other} in MAY_AGREE and alike), (one, other)


def test_the_source_that_helps_gets_the_weight(lab, outcomes):
    for name in ('uowq', 'uowq_static', 'wadn'):
        assert (outcomes[name].weights[:, HELPS] > 2 * outcomes[name].weights[:, HARMS]).all(), name
    for name in ('otqms', 'otqms_exact', 'uowq_budget'):
        assert (outcomes[name].quantities[:, HELPS] > 2 * outcomes[name].quantities[:, HARMS]).all(), name
    assert (outcomes['single_source'].weights == [1, 0]).all()
    assert (outcomes['target_only'].weights == 0).all() and (outcomes['all_sources'].weights == 1).all()


def test_uowq_beats_target_only_and_all_sources(losses):
    assert losses['uowq'] < losses['target_only'] - 0.05 and losses['uowq'] < losses['all_sources'] - 0.3
    assert losses['uowq_static'] < losses['target_only'] - 0.05 and losses['otqms'] < losses['all_sources'] - 0.3


def test_a_source_without_weight_is_not_drawn(lab, outcomes):
    counts = {name: outcome.draws.mean() for name, outcome in outcomes.items()}
    assert counts['target_only'] < counts['otqms'] < 0.9 * counts['all_sources']
    cost = outcomes['uowq_budget'].quantities.sum(1)
    assert (cost <= lab.budget * lab.sizes.sum()).all() and (cost > 0).all()
    assert counts['all_sources'] == 16 * np.ceil(20 * (12 + lab.sizes.sum()) / 16)


def test_shared_fits_are_paid_for_once(lab, outcomes):
    common = [lab.fit_singles(), lab.fit_alone(), lab.fit_middle(), lab.folds.fit_alone(), *lab.folds.fit_trials().values()]
    assert outcomes['otqms_exact'].shared_seconds == pytest.approx(sum(fit.record['seconds'] for fit in common))
    assert outcomes['mcw'].shared_seconds == lab.fit_singles().record['seconds'] and outcomes['all_sources'].shared_seconds == 0


def test_a_fit_or_measurement_is_computed_once(lab, outcomes, monkeypatch):
    """A second call neither trains nor reads the file of the fit."""
    monkeypatch.setattr(type(lab), 'fit', lambda *arguments, **options: pytest.fail('a fit was computed a second time'))
    monkeypatch.setattr(type(lab), 'measure', lambda *arguments, **options: pytest.fail('a measurement was computed a second time'))
    for compute in (lab.fit_alone, lab.fit_singles, lab.fit_middle, lab.measure_middle, lab.measure_sources, lab.folds.fit_alone):
        assert compute() is compute()
    assert all(lab.folds.fit_trials()[tau] is fit for tau, fit in lab.folds.fit_trials().items())


def test_a_fold_is_left_out_evenly_by_class_and_never_drawn(lab):
    assert lab.folds.count == 4
    for seed, out in np.ndindex(SEEDS, 4):
        without = lab.train[seed][lab.folds.fold[seed] == out]
        assert sorted(lab.labels[without]) == [0, 1, 2]
        assert sorted(lab.folds.rows[seed][out]) == sorted(set(lab.train[seed]) - set(without))
    counts = lab.folds.fit_alone().policy.quantities[:, lab.target]
    assert counts.tolist() == [9.0] * SEEDS * 4


def test_scores_are_of_the_last_parameters_never_of_the_best(lab, outcomes):
    """Nothing over the course of a fit is looked at: outputs are those of what the fit's file holds, by hand."""
    for name in ('uowq', 'all_sources'):
        with np.load(lab.store.directory / f'{name}.npz') as file:
            kernel, bias = (next(file[key] for key in file if 'params' in key and part in key) for part in ('kernel', 'bias'))
        outputs = np.einsum('nf,sfc->snc', lab.domains[small.TARGET].inputs, kernel) + bias[:, None]
        np.testing.assert_allclose(outcomes[name].outputs, outputs, atol=1e-4)
        entry = results.record(lab, outcomes[name], None)
        for out, split, test in zip(outputs, lab.splits, entry['test'], strict=True):
            assert test['accuracy'] == pytest.approx(accuracy_score(lab.labels[split.test], out[split.test].argmax(1)))
            assert test['loss'] == pytest.approx(log_loss(lab.labels[split.test], jax.nn.softmax(out[split.test])), rel=1e-4)


# --- correlation

def whitened(features):
    centre, matrix = correlation.whitening(features)
    return (features - centre[None]) @ matrix


def test_whitened_features_have_identity_covariance():
    rng = np.random.default_rng(0)
    features = jnp.asarray(rng.normal(size=(200, 4)) @ rng.normal(size=(4, 4)) + 3, jnp.float32)
    out = np.asarray(whitened(features), float)
    values = np.linalg.eigvalsh(np.cov(np.asarray(features, float).T, bias=True))
    np.testing.assert_allclose(out.mean(0), 0, atol=1e-4)
    # each direction is divided by its deviation and the ridge's
    ridge = correlation.RIDGE * values.mean() + 1e-8
    np.testing.assert_allclose(np.cov(out.T, bias=True), np.diag(values / (values + ridge)), atol=1e-3)
    alike = jnp.asarray(np.concatenate([np.eye(4), -np.eye(4)]), jnp.float32)
    np.testing.assert_allclose(np.cov(whitened(alike).T, bias=True), np.eye(4) / (1 + correlation.RIDGE), atol=1e-4)


def test_log_posterior_is_normalised_and_by_hand_where_nothing_is_floored():
    shares, score = np.array([0.5, 0.25, 0.25]), np.array([[0.2, -0.1, 0.0], [-3.0, 1.0, 2.0]])
    out = np.exp(correlation.log_posterior(score, shares))
    np.testing.assert_allclose(out.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(out[0], np.array([0.6, 0.225, 0.25]) / 1.075, rtol=1e-5)
    np.testing.assert_allclose(out[1], np.array([0.0005, 0.5, 0.75]) / 1.2505, rtol=1e-4)


def test_h_score_by_hand():
    features, labels = np.array([[2.0, 0.0], [4.0, 1.0], [-1.0, 1.0], [-3.0, 0.0]]), np.array([0, 0, 1, 1])
    regular = np.cov(features.T, bias=True)
    regular = regular + correlation.RIDGE * np.trace(regular) / 2 * np.eye(2)
    centre = np.array([[3.0, 0.5], [-2.0, 0.5]]) - features.mean(0)
    reference = np.trace(np.linalg.inv(regular) @ (centre.T @ centre / 2))
    np.testing.assert_allclose(h_ensemble.h_score(jnp.asarray(features, jnp.float32), jnp.asarray(labels), 2), reference, rtol=1e-5)


def feature_lab(features, labels):
    """As much of a Lab as methods take that combine features [K, n, D]; one seed, every row trains."""
    return types.SimpleNamespace(source_features=lambda: features[None], train=np.arange(len(labels))[None], labels=labels,
                                 classes=('a', 'b'),
                                 splits=(None,), fit_singles=lambda: types.SimpleNamespace(record={'seconds': 1.5}))


@pytest.mark.parametrize('informative', [0, 1, 2])
def test_h_ensemble_and_mcw_go_by_the_informative_source(informative):
    rng, labels = np.random.default_rng(1), np.arange(80).astype(np.int32) % 2
    features = rng.normal(size=(3, 80, 2)).astype(np.float32)
    features[informative] = 0.3 * features[informative] + np.where(labels == 1, 1, -1)[:, None]
    ensemble = h_ensemble.run(feature_lab(features, labels))
    assert ensemble.weights[0, informative] > 0.9 and ensemble.weights.sum() == pytest.approx(1, abs=1e-5)
    for outcome in (ensemble, mcw.run(feature_lab(features, labels))):
        assert (outcome.outputs[0].argmax(1) == labels).mean() > 0.97
        assert outcome.shared_seconds == 1.5 and outcome.draws.tolist() == [0]


def test_wadns_mixture_is_on_the_simplex(lab, outcomes):
    for event in outcomes['wadn'].history:
        np.testing.assert_allclose((event['weights'] * lab.sizes / lab.target_size).sum(1), 1, rtol=1e-5)
    for x in np.random.default_rng(0).normal(size=(5, 4)):
        nearest = minimize(lambda p, x=x: np.sum((p - x) ** 2), np.full(4, 0.25), bounds=[(0, 1)] * 4, method='SLSQP', tol=1e-12,
                           constraints={'type': 'eq', 'fun': lambda p: p.sum() - 1}).x
        np.testing.assert_allclose(correlation.on_simplex(jnp.asarray(x, jnp.float32)), nearest, atol=1e-5)


# --- results

def test_scores_are_scikit_learns():
    rng = np.random.default_rng(0)
    logits, labels, rows = rng.normal(size=(30, 3)) * 50, rng.integers(0, 3, 30), np.arange(5, 30)
    result = results.scores(logits, labels, rows, ('a', 'b', 'c'))
    assert result['accuracy'] == pytest.approx(accuracy_score(labels[rows], logits[rows].argmax(1)))
    assert result['loss'] == pytest.approx(-scipy.special.log_softmax(logits, 1)[rows, labels[rows]].mean())
    values = rng.normal(size=30)
    of_values = results.scores(logits[:, :1], values, rows, None)
    assert of_values['accuracy'] == pytest.approx(r2_score(values[rows], logits[rows, 0]))
    assert results.scores(logits, labels, np.arange(0), ('a', 'b', 'c')) == {'accuracy': None, 'loss': None}


def test_means_come_with_their_standard_error():
    mean, error = results.mean_and_error([1.0, 2.0, 4.0])
    assert mean == pytest.approx(7 / 3) and error == pytest.approx(scipy.stats.sem([1.0, 2.0, 4.0]))
    assert results.mean_and_error([2.0]) == (2.0, None)


def test_summary_by_hand():
    of = lambda accuracies, counts: {'test': [{'accuracy': a, 'loss': 1 - a} for a in accuracies], 'drawn': counts, 'seconds': 1.0,
                                    'shared_seconds': 0.5, 'control_seconds': 0.25}
    targets = {'x': {'target_only': of([0.5, 0.6], [10, 10]), 'other': of([0.4, 0.8], [20, 30])},
               'y': {'target_only': of([0.9, 0.7], [10, 10]), 'other': of([0.9, 0.6], [40, 40])}}
    rows = results.summary(targets)
    assert rows['other']['negative'] == 0.5 and rows['target_only']['negative'] == 0  # 0.4 < 0.5 and 0.6 < 0.7; a tie is none
    assert rows['other']['targets']['x']['accuracy'] == pytest.approx((0.6, 0.2))
    assert rows['other']['average']['accuracy'] == pytest.approx((0.675, 0.025))  # seeds: 0.65 and 0.7
    assert rows['other']['average']['loss'][0] == pytest.approx(0.325)
    assert rows['other']['drawn'] == 65 and rows['other']['seconds'] == 2 and rows['other']['control_seconds'] == 0.5
    assert results.summary({'x': {'other': targets['x']['other']}})['other']['negative'] is None


def test_each_method_has_a_mark_of_its_own_in_the_report():
    figure = prediction_against_loss({name: ([1.0], [1.0]) for name in ALL})
    assert len({line.get_marker() for line in figure.axes[0].lines if line.get_linestyle() == 'None'}) == len(ALL)
