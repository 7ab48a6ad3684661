"""Exact fits of a lab are scikit-learn's on the same rows and weights; folds choose priors and the global weight as a loop would."""
import types

import jax
import numpy as np
import pytest
import transfer_small as small
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss

from transfer_jax.experiment.lab.equations import Equations
from transfer_jax.experiment.lab.folds import GLOBAL_WEIGHTS
from transfer_jax.experiment.lab.priors import nearest
from transfer_jax.experiment.linear import fits
from transfer_jax.experiment.methods.registry import METHODS
from transfer_jax.experiment.training.draws import _source_row
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.progress import Stopped

PRIORS, SEEDS = (10.0, 1.0, 0.1), 2
NAMES = ('target_only', 'all_sources', 'cv_global', 'wadn', 'otqms', 'uowq_static', 'uowq_dynamic', 'uowq')


@pytest.fixture(scope='module')
def lab(tmp_path_factory, compiled):
    return small.lab(tmp_path_factory.mktemp('exact'), small.blobs(), seeds=SEEDS, priors=PRIORS)


@pytest.fixture(scope='module')
def outcomes(lab):
    """{method: its Outcome}."""
    return {name: METHODS[name](lab) for name in NAMES}


def rows_of(lab, seed, weights, without=()):
    """(x, y, weight) of a seed's training rows, except those of `without`, and of all sources at weights [K]."""
    train = np.setdiff1d(lab.train[seed], without)
    domains = [lab.domains[source] for source in lab.sources]
    parts = [(lab.domains[lab.target].inputs[train], lab.labels[train], np.ones(len(train)))]
    parts += [(domain.inputs, domain.labels, np.full(len(domain), w)) for domain, w in zip(domains, weights, strict=True)]
    x, y, weight = (np.concatenate(part) for part in zip(*parts, strict=True))
    return x.astype(np.float64), y, weight  # scikit-learn computes in the precision of x


def classifier(x, y, weight, prior):
    return LogisticRegression(C=1 / prior, tol=1e-8, max_iter=3000).fit(x[weight > 0], y[weight > 0], sample_weight=weight[weight > 0])


@pytest.mark.parametrize('name', NAMES)
def test_an_outcome_is_whole(lab, outcomes, name):
    outcome = outcomes[name]
    assert outcome.outputs.shape == (SEEDS, len(lab.labels), 3) and np.isfinite(outcome.outputs).all()
    for values in (outcome.weights, outcome.quantities):
        assert values is None or (values.shape == (SEEDS, 2) and np.isfinite(values).all() and (values >= 0).all())
    dynamic = name in ('wadn', 'otqms', 'otqms_published', 'uowq_dynamic')
    assert len(outcome.history) == (lab.control.decisions + (name == 'uowq_dynamic') if dynamic else 0)


@pytest.mark.parametrize('name', ['target_only', 'all_sources', 'cv_global', 'uowq_static', 'uowq'])
def test_parameters_are_scikit_learns(lab, outcomes, name):
    fit = lab.fit(name, lab.policy(outcomes[name].weights))  # from the store
    for seed in range(SEEDS):
        model = classifier(*rows_of(lab, seed, outcomes[name].weights[seed]), fit.record['prior'][seed])
        np.testing.assert_allclose(fit.params['head']['kernel'][seed].T, model.coef_, atol=1e-4)
        np.testing.assert_allclose(fit.params['head']['bias'][seed], model.intercept_, atol=1e-4)


def test_folds_choose_the_prior_and_the_global_weight(lab, outcomes):
    inputs = lab.domains[lab.target].inputs.astype(np.float64)
    for seed in range(SEEDS):
        losses, errors = np.zeros((2, len(GLOBAL_WEIGHTS), len(PRIORS)))
        for row, column in np.ndindex(losses.shape):
            out = np.zeros((lab.target_size, 3))
            for number in range(lab.folds.count):
                held = lab.folds.fold[seed] == number
                x, y, weight = rows_of(lab, seed, [GLOBAL_WEIGHTS[row]] * 2, without=lab.train[seed][held])
                out[held] = classifier(x, y, weight, PRIORS[column]).predict_proba(inputs[lab.train[seed][held]])
            losses[row, column] = log_loss(lab.labels[lab.train[seed]], out, labels=range(3))
            of_rows = -np.log(out[np.arange(lab.target_size), lab.labels[lab.train[seed]]])
            errors[row, column] = of_rows.std(ddof=1) / np.sqrt(lab.target_size)
        ours = np.stack([lab.fold_losses(weight)[:, seed] for weight in GLOBAL_WEIGHTS])
        np.testing.assert_allclose(np.where(np.isfinite(ours), ours, losses), losses, rtol=0.02)
        assert (losses[~np.isfinite(ours)] > ours.min(1)[np.nonzero(~np.isfinite(ours))[0]]).all(), 'the path ended too early'
        smallest = losses.argmin(1)[:, None]
        bound = np.take_along_axis(losses, smallest, 1) + np.take_along_axis(errors, smallest, 1)
        chosen = np.argmax(losses <= bound, 1)
        assert [lab.choose_prior(weight)[seed] for weight in GLOBAL_WEIGHTS] == [PRIORS[place] for place in chosen]
        np.testing.assert_allclose(lab.global_losses()[:, seed], losses[np.arange(len(losses)), chosen], rtol=0.02)
        assert outcomes['cv_global'].weights[seed, 0] == GLOBAL_WEIGHTS[int(np.argmin(lab.global_losses()[:, seed]))]


def test_a_prior_pulls_the_target_and_a_source_alike(lab):
    own = lab.fit_singles().record['prior']
    alone = lab.choose_prior(0.0)
    np.testing.assert_allclose(np.reshape(own, (SEEDS, -1)), alone[:, None] * lab.sizes / lab.target_size)
    np.testing.assert_array_equal(lab.fits_of_noise()[0].record['prior'], alone)


def test_the_rows_of_a_quantity_are_those_that_training_would_draw(lab):
    policy = lab.policy(np.ones(2), np.array([7, 30]))
    blocks, _ = Equations(lab)._blocks(np.asarray(policy.weights, float), np.asarray(policy.quantities, float), np.arange(SEEDS),
                                       np.ones((SEEDS, lab.target_size)), np.float64)
    pool = lab.trainer.pool
    for block, source, count in zip(blocks, lab.sources, (7, 30), strict=False):
        for seed in range(SEEDS):
            replica = types.SimpleNamespace(seed=lab.seeds[seed])
            drawn = np.asarray(jax.vmap(lambda number, r=replica, d=source: _source_row(pool, r, d, number))(np.arange(count)))
            assert sorted(drawn - int(pool.starts[source])) == np.flatnonzero(block.weights[seed]).tolist()


def test_fits_are_loaded_and_a_request_to_stop_is_heard(lab, outcomes, monkeypatch):
    again = small.lab(lab.store.directory, small.blobs(), seeds=SEEDS, priors=PRIORS)
    monkeypatch.setattr(Equations, 'solve', lambda *arguments, **options: pytest.fail('a fit was solved a second time'))
    np.testing.assert_array_equal(METHODS['uowq'](again).outputs, outcomes['uowq'].outputs)
    monkeypatch.undo()
    again.stop.requested = True
    with pytest.raises(Stopped):
        again.fit('another', again.policy(0))


def test_a_fit_without_an_optimum_is_an_error(tmp_path, monkeypatch):
    """Separable classes, no prior, and no folds that would choose one."""
    monkeypatch.setattr(fits, 'MAX_ITERATIONS', 30)
    domains = small.blobs(noise=0.01)
    lab = small.lab(tmp_path, domains, seeds=SEEDS, priors=PRIORS, max_folds=0, trainer=small.trainer(domains, prior=0.0))
    with pytest.raises(UserError, match='fit target_only: replica 0 has not reached its optimum after 30 iterations, at the prior 0;'):
        lab.fit_alone()


def test_a_regression(tmp_path, compiled):
    domains = small.lines()
    lab = small.lab(tmp_path, domains, seeds=SEEDS, shots=8, priors=PRIORS)
    outcome = METHODS['cv_global'](lab)
    fit = lab.fit('cv_global', lab.policy(outcome.weights))
    for seed in range(SEEDS):
        x, y, weight = rows_of(lab, seed, outcome.weights[seed])
        model = Ridge(alpha=fit.record['prior'][seed], tol=1e-10).fit(x, y, sample_weight=weight)
        np.testing.assert_allclose(fit.params['head']['kernel'][seed, :, 0], model.coef_, atol=1e-4)
    assert np.isfinite(METHODS['uowq'](lab).outputs).all()


def test_nearest_is_by_ratio():
    assert nearest(np.array([0, 1e-9, 0.016, 0.018, 0.5, 7]), GLOBAL_WEIGHTS).tolist() == [0, 1, 1, 2, 4, 5]
