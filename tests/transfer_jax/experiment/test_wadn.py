"""WADN's parts against closed forms and other libraries: factors by class, ratios of label laws, and the mixture."""
import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import transfer_small as small
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from transfer_jax.experiment.data.domains import Domain
from transfer_jax.experiment.methods import wadn
from transfer_jax.experiment.methods.registry import METHODS
from transfer_jax.runtime.progress import Stopped

pytestmark = pytest.mark.usefixtures('compiled')

COPIES = np.array([1, 2, 4])  # of every row of a class in the source whose labels are shifted
SEEDS = 2


def shifted():
    """blobs whose source 'same' has the same rows ten times a class, but 1, 2 and 4 copies of them by class; and the rows once."""
    domains = small.blobs(sizes=(30, 90, 60))
    once = domains.domains[0]
    rows = np.repeat(np.arange(30), COPIES[once.labels])
    many = Domain(name='same', inputs=once.inputs[rows], labels=once.labels[rows])
    return dataclasses.replace(domains, domains=(many, *domains.domains[1:])), once


def with_factors(lab, policy, of_sources):
    """The Policy with factors [K, C] of the sources' classes, and 1 for those of the target."""
    factors = np.ones((*policy.weights.shape, len(lab.classes)), np.float32)
    factors[:, list(lab.sources)] = of_sources
    return policy.replace(class_factors=jnp.asarray(factors))


@pytest.fixture(scope='module')
def exact(tmp_path_factory):
    return small.lab(tmp_path_factory.mktemp('wadn'), shifted()[0], seeds=SEEDS, priors=(1.0, 0.1))


# --- ratios of label laws

def test_ratios_are_the_targets_law_over_the_sources(exact):
    ratios = wadn.label_ratios(exact)
    np.testing.assert_allclose(ratios[:, 0], np.tile((1 / 3) / (COPIES / 7), (SEEDS, 1)), rtol=1e-12)
    np.testing.assert_allclose(ratios[:, 1], 1, rtol=1e-12)
    labels = exact.domains[exact.sources[0]].labels
    np.testing.assert_allclose(ratios[0, 0][labels].mean(), 1, rtol=1e-12)


def test_a_class_that_a_source_has_not_gets_no_factor(exact):
    only = lambda domain: Domain(name=domain.name, inputs=domain.inputs[domain.labels < 2], labels=domain.labels[domain.labels < 2])
    domains = tuple(only(domain) if number == exact.sources[1] else domain for number, domain in enumerate(exact.domains))
    fewer = types.SimpleNamespace(classes=exact.classes, labels=exact.labels, train=exact.train, domains=domains, sources=exact.sources,
                                  sizes=np.array([len(domains[source]) for source in exact.sources]))
    np.testing.assert_allclose(wadn.label_ratios(fewer)[:, 1], [[1, 1, 0]] * SEEDS, rtol=1e-12)


def test_a_reweighted_source_has_the_optimum_of_the_targets_law(exact):
    """The source's classes have the same rows as `once`, in other numbers: reweighted, its fit is the fit to `once`."""
    _, once = shifted()
    policy = exact.policy(np.array([30 / 70, 0]), target=0)
    minimum = exact.equations.solve(with_factors(exact, policy, wadn.label_ratios(exact)), np.ones(SEEDS))
    head = LogisticRegression(C=1.0, tol=1e-9, max_iter=3000).fit(once.inputs.astype(float), once.labels)
    reference = np.column_stack([head.coef_, head.intercept_ - head.intercept_.mean()])
    theta = minimum.theta[:, 0]
    np.testing.assert_allclose(theta - np.append(np.zeros(6), theta[:, -1].mean()), reference, atol=1e-4)
    plain = exact.equations.solve(policy, np.ones(SEEDS)).theta[:, 0]
    assert np.abs(plain - theta).max() > 0.1


# --- factors in a fit

@pytest.mark.parametrize('priors', [None, (1.0,)])
def test_factors_of_one_change_no_bit(tmp_path, priors):
    lab = small.lab(tmp_path, small.blobs(), seeds=SEEDS, **({} if priors is None else {'priors': priors}))
    policy = lab.policy(np.array([0.5, 0.2]))
    fits = [lab.fit('without', policy), lab.fit('with', with_factors(lab, policy, np.ones((2, 3))))]
    jax.tree.map(np.testing.assert_array_equal, fits[0].params, fits[1].params)
    other = lab.fit('other', with_factors(lab, policy, [[2.0, 0.5, 0.5], [1, 1, 1]]))
    assert np.abs(other.params['head']['kernel'] - fits[0].params['head']['kernel']).max() > 0.01


def test_a_stopped_fit_with_factors_ends_bit_for_bit(tmp_path):
    domains = shifted()[0]
    make = lambda folder, stop: small.lab(tmp_path / folder, domains, seeds=SEEDS, min_steps=40, epochs=1.0, stop=stop)
    never = types.SimpleNamespace(requested=False)
    whole = make('whole', never)
    reference = METHODS['wadn'](whole)
    calls = iter((False, False))  # it is read twice a segment
    stop = type('Stop', (), {'requested': property(lambda self: next(calls, True))})()
    with pytest.raises(Stopped):
        METHODS['wadn'](make('parts', stop))
    parts = make('parts', never)
    assert parts.store.record(wadn.FIT) is None and parts.store.checkpoints(wadn.FIT).steps()
    result = METHODS['wadn'](parts)
    np.testing.assert_array_equal(result.outputs, reference.outputs)
    np.testing.assert_array_equal(result.weights, reference.weights)
    load = lambda lab: np.load(next((lab.store.directory).rglob(f'{wadn.FIT}.npz')))
    one, other = load(whole), load(parts)
    assert any('class_factors' in name for name in one.files)
    assert all(np.array_equal(one[name], other[name]) for name in one.files)


# --- the mixture

def test_the_mixture_is_the_minimum_on_the_simplex():
    costs = np.random.default_rng(0).exponential(size=(6, 4))
    for c, ours in zip(costs, wadn.mixture(costs), strict=True):
        objective = lambda part, c=c: part @ c + c.max() * np.linalg.norm(part)
        best = minimize(objective, np.full(4, 0.25), bounds=[(0, 1)] * 4, method='SLSQP', tol=1e-14,
                        constraints={'type': 'eq', 'fun': lambda part: part.sum() - 1})
        assert ours.sum() == pytest.approx(1) and (ours >= 0).all() and objective(ours) <= best.fun + 1e-9
        np.testing.assert_allclose(ours, best.x, atol=1e-4)


def test_one_clearly_nearest_source_gets_all_and_equal_ones_share():
    np.testing.assert_allclose(wadn.mixture(np.array([[5.0, 0.0, 5.0]])), [[0, 1, 0]], atol=1e-12)
    np.testing.assert_allclose(wadn.mixture(np.array([[0.7, 0.7, 0.7], [0, 0, 0]])), np.full((2, 3), 1 / 3))
