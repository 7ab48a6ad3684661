"""Measurement: the gram and its noise, weights and quantities under a shortfall, and within a budget."""
import itertools
import types

import clarabel
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
from problems import problems
from scipy.optimize import minimize

from transfer_jax.budget import budgeted_weights
from transfer_jax.experiment.lab import products
from transfer_jax.experiment.lab.measure import NO_SOURCES, Measurement, raw_gram
from transfer_jax.fisher import fisher_gram
from transfer_jax.objective import predicted_error
from transfer_jax.solver.solution import check
from transfer_jax.weights import source_weights

TAUS = (1.0, 4.0)


def linear(params, frozen, x):
    return x @ params['kernel']


def measurement_of(target, sizes, gram, shortfall):
    """The Measurement of grams [S, K, K] that needed no debiasing."""
    gram = jnp.asarray(gram, jnp.float32)
    return Measurement(raw=gram, gram=gram, noise=jnp.ones(len(gram)), shortfall=jnp.asarray(shortfall, jnp.float32),
                    target_size=jnp.float32(target), source_sizes=jnp.asarray(sizes, jnp.float32))


def error_by_hand(target, weights, quantities, gram, tau=1.0):
    """(tau N0 + sum w^2 n + u'G u) / (N0 + sum u)^2 in float64, over leading axes."""
    u = weights * quantities
    return (tau * target + np.sum(weights * u, -1) + np.einsum('...k,kl,...l->...', u, gram, u)) / (target + u.sum(-1)) ** 2


# --- the gram and its noise

def test_raw_gram_is_fisher_gram_of_every_seed():
    rng = np.random.default_rng(0)
    tree = lambda *shape: {'kernel': jnp.asarray(rng.normal(size=(*shape, 4, 3)), jnp.float32)}
    at, target, sources, folds = tree(2), tree(2), tree(2, 3), tree(2, 5)
    inputs = jnp.asarray(rng.normal(size=(2, 20, 4)), jnp.float32)
    result, ones = raw_gram(linear, {}, at, target, sources, None, inputs, kind='true', target_size=20, d=12)
    by_noise, noise = raw_gram(linear, {}, at, target, sources, folds, inputs, kind='true', target_size=20, d=12)
    assert ones.tolist() == [1, 1]
    np.testing.assert_allclose(by_noise * noise[:, None, None], result, rtol=1e-5)
    for seed in range(2):
        of_seed = lambda x, seed=seed: x['kernel'][seed]
        function = lambda params, x: x @ params
        reference = fisher_gram(function, of_seed(at), of_seed(sources) - of_seed(target)[None], inputs[seed], kind='true')
        np.testing.assert_allclose(result[seed], reference, rtol=1e-5)
        apart = of_seed(folds) - of_seed(folds).mean(0)[None]
        jackknife = jnp.trace(fisher_gram(function, of_seed(at), apart, inputs[seed], kind='true')) * 4 / 5  # times d: c d / N0
        np.testing.assert_allclose(noise[seed], jackknife * 20, rtol=1e-5)


def test_folds_that_are_alike_leave_a_finite_gram():
    """Where all rows of a class are equal, so are the fits on folds: c is next to nothing, and sources that differ are far."""
    rng = np.random.default_rng(0)
    tree = lambda *shape: {'kernel': jnp.asarray(rng.normal(size=(*shape, 4, 3)), jnp.float32)}
    at, target, sources = tree(1), tree(1), tree(1, 2)
    folds = jax.tree.map(lambda x: jnp.repeat(x[:, None], 3, 1), target)
    inputs = jnp.asarray(rng.normal(size=(1, 20, 4)), jnp.float32)
    raw, noise = raw_gram(linear, {}, at, target, sources, folds, inputs, kind='true', target_size=20, d=12)
    assert noise > 0 and np.isfinite(raw).all() and raw[0].max() > 1e5
    outputs = [np.einsum('nf,...fc->...nc', inputs[0], tree['kernel'][0], dtype=np.float64) for tree in (at, target, sources, folds)]
    of_products, least = products.raw_gram(*outputs, 3, d=12)
    np.testing.assert_allclose(of_products, raw[0], rtol=1e-3)
    np.testing.assert_allclose(least, noise[0], rtol=1e-3)


def test_noise_is_the_residual_variance_of_least_squares():
    """c = sigma^2, so that G in units of it is 1/N0 + 1/N_k for a source of the same law, and |delta|^2 / (sigma^2 d) more for another."""
    rng, seeds, n, many, d, sigma, folds = np.random.default_rng(1), 200, 150, 300, 3, 0.7, 10
    offset = np.array([0.3, 0.0, 0.0])

    def exact(size, shift, left_out=None):
        x = rng.normal(size=(seeds, size, d))
        y = x @ (np.ones(d) + shift) + sigma * rng.normal(size=(seeds, size))
        solve = lambda x, y: np.linalg.solve(np.einsum('sni,snj->sij', x, x), np.einsum('sni,sn->si', x, y)[..., None])
        masks = [np.arange(size) % folds != fold for fold in range(folds)] if left_out else []
        return x, {'kernel': solve(x, y)}, {'kernel': np.stack([solve(x[:, keep], y[:, keep]) for keep in masks], 1)} if left_out else None
    inputs, target, without = exact(n, 0, left_out=True)
    sources = {'kernel': np.stack([exact(many, shift)[1]['kernel'] for shift in (0, offset)], 1)}
    single = lambda tree: jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), tree)
    raw, noise = raw_gram(linear, {}, single(target), single(target), single(sources), single(without), single(inputs), kind='gauss_newton',
                          target_size=n, d=d)
    np.testing.assert_allclose(noise.mean(), sigma**2, rtol=0.06)  # its own error is 2 %, and the folds' designs add 2 %
    gram = np.mean(raw * noise[:, None, None], 0) / noise.mean()
    common = 1 / n
    np.testing.assert_allclose(gram, [[common + 1 / many, common], [common, common + 1 / many + 0.09 / (d * sigma**2)]], rtol=0.15)


# --- decisions under a shortfall

@pytest.mark.parametrize('tau', TAUS)
@pytest.mark.parametrize('sources', [1, 2])
def test_amounts_are_the_best_of_all_there_are(sources, tau):
    target, sizes = 20.0, np.array([60.0, 45.0])[:sources]
    grams = np.array([[[0.04, 0.01], [0.01, 0.08]], [[0.001, 0.0], [0.0, 0.3]], [[0.2, 0.1], [0.1, 0.09]], [[0.03, -0.02], [-0.02, 0.05]]])
    grams = grams[:, :sources, :sources]
    result = np.asarray(measurement_of(target, sizes, grams, [tau] * 4).amounts().quantities)
    every = np.array(list(itertools.product(*[range(int(size) + 1) for size in sizes])), float)
    for n, gram in zip(result, grams, strict=True):
        errors = error_by_hand(target, np.ones(sources), every, gram, tau)
        assert error_by_hand(target, np.ones(sources), n, gram, tau) <= errors.min() * (1 + 1e-3)
        assert np.abs(n - every[errors.argmin()]).max() <= 1 + 2 * (sources - 1)  # rounding may shift what two sources share
        assert (n == np.round(n)).all() and (n <= sizes).all()


def test_a_larger_shortfall_takes_more():
    gram = np.repeat([[[0.2, 0.1], [0.1, 0.09]]], 3, 0)
    problem = measurement_of(20.0, [60.0, 45.0], gram, [1.0, 4.0, 16.0])
    assert (np.diff(problem.amounts().quantities.sum(1)) > 0).all() and (np.diff(problem.weights().weights.sum(1)) > 0).all()


@pytest.mark.parametrize('tau', TAUS)
def test_weights_minimise_the_error_of_a_target_that_counts_for_less(tau):
    target, sizes = 30.0, np.array([100.0, 300.0, 60.0])
    deltas = np.random.default_rng(0).normal(size=(6, 4, 3)) * [0.02, 0.1, 0.3]
    grams = np.einsum('bdk,bdl->bkl', deltas, deltas)
    result = np.asarray(measurement_of(target, sizes, grams, [tau] * 6).weights().weights)
    assert (result == 0).any() and (result > 0).any(1).all()
    for weights, gram in zip(result, grams, strict=True):
        best = minimize(lambda w, gram=gram: np.log(error_by_hand(target / tau, w, sizes, gram)), np.full(3, 0.3), method='L-BFGS-B',
                        bounds=[(0, None)] * 3, options={'ftol': 1e-15, 'gtol': 1e-9, 'maxiter': 1000})
        np.testing.assert_allclose(weights / tau, best.x, atol=2e-3, rtol=2e-3)


def test_biases_that_cancel_are_solved_although_the_gram_is_float32():
    """G = [[1, -1], [-1, 1]] g: both sources together are the target's own law, at weight 1, for any g N."""
    gram = np.float32(0.37) * np.array([[[1, -1], [-1, 1]]])
    problem = measurement_of(20.0, [4e6, 4e6], gram, [1.0])
    np.testing.assert_allclose(check(problem.weights()).weights, 1, rtol=1e-4)
    rounded = gram + np.float32(1e-8) * np.array([[-1, 0], [0, -1]])  # of its own rounding it is not semi-definite
    assert check(measurement_of(20.0, [100, 100], rounded, [1.0]).amounts()).quantities.tolist() == [[100, 100]]
    assert problem.weights().weights.dtype == np.float32


def test_error_is_the_predicted_one_and_the_shortfalls():
    target, sizes, grams = problems('plain', 3, 3)
    target, sizes = target[0], sizes[0]
    rng = np.random.default_rng(0)
    weights, quantities = rng.uniform(0, 2, (3, 3)), np.round(sizes * rng.uniform(0, 1, (3, 3)))
    single = [jnp.asarray(x, jnp.float32) for x in (weights, quantities)]
    plain = measurement_of(target, sizes, grams, [1.0] * 3).error(*single)
    np.testing.assert_allclose(plain, predicted_error(target, sizes, grams, *single), rtol=1e-5)
    np.testing.assert_allclose(measurement_of(target, sizes, grams, [NO_SOURCES] * 3).error(*single), plain, rtol=1e-6)
    of_four = measurement_of(target, sizes, grams, [4.0] * 3).error(*single)
    for result, w, n, gram in zip(of_four, weights, quantities, grams, strict=True):
        np.testing.assert_allclose(result, error_by_hand(target / 4, w / 4, n, gram), rtol=1e-5)  # the same fit, in samples of 4 each


def test_no_sources_means_none():
    sizes, gram = [60.0, 45.0], np.repeat([[[1e-4, 0.0], [0.0, 1e-4]]], 2, 0)
    problem = measurement_of(20.0, sizes, gram, [NO_SOURCES, 1.0])
    for values in (problem.weights().weights, problem.amounts().quantities, problem.within(0.5, (1.0, 2.0)).weights,
                   problem.within(0.5, (1.0, 2.0)).quantities):
        assert (values[0] == 0).all() and (values[1] > 0).all()


# --- budget

def by_cones(target, sizes, gram, budget, costs):
    """The least F over v and n = N m: v0^2/N0 + v'Gv + sum t/N with t m >= v^2 as second-order cones, by an interior point."""
    count, none = len(sizes), np.zeros((len(sizes), len(sizes)))
    eye = np.eye(count)
    matrix = scipy.linalg.block_diag([[2 / target]], 2 * gram, none, none)  # v0, v, m, t
    linear = np.concatenate([np.zeros(1 + 2 * count), 1 / sizes])
    row = lambda *parts: np.concatenate([np.zeros((len(parts[-1]), 1)), *parts], 1)
    shares = np.concatenate([np.ones(1 + count), np.zeros(2 * count)])[None]
    cost_row = row(none[:1], (costs * sizes)[None], none[:1])
    cone = row(none, -eye, -eye), row(-2 * eye, none, none), row(none, eye, -eye)  # |(2 v, m - t)| <= m + t
    cones = np.concatenate([np.stack([part[k] for part in cone]) for k in range(count)])
    rows = np.concatenate([shares, row(-eye, none, none), row(none, -eye, none), row(none, eye, none), cost_row, cones])
    right = np.concatenate([[1], np.zeros(2 * count), np.ones(count), [budget], np.zeros(3 * count)])
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    kinds = [clarabel.ZeroConeT(1), clarabel.NonnegativeConeT(3 * count + 1), *[clarabel.SecondOrderConeT(3)] * count]
    upper = scipy.sparse.triu(scipy.sparse.csc_matrix(matrix), format='csc')
    return clarabel.DefaultSolver(upper, linear, scipy.sparse.csc_matrix(rows), right, kinds, settings).solve().obj_val


BUDGETS = np.array([0.03, 0.1, 0.25, 0.6, 1.0])


@pytest.fixture(scope='module')
def budget_cases():
    """{K: (N0, N, G, costs, budgets [P, B], Solution [P, B])} of P problems each."""
    out, single = {}, lambda x: jnp.asarray(x, jnp.float32)
    for sources, kind in ((1, 'plain'), (2, 'plain'), (3, 'mixed')):
        target, sizes, gram = problems(kind, sources, 6)
        costs = np.random.default_rng(sources).uniform(0.5, 3, sources)
        budgets = BUDGETS * (sizes @ costs)[:, None]
        wide = [single(np.repeat(x[:, None], len(BUDGETS), 1)) for x in (target, sizes, gram)]
        solution = budgeted_weights(*wide, single(budgets), single(costs))
        out[sources] = types.SimpleNamespace(target=target, sizes=sizes, gram=gram, costs=costs, budgets=budgets, solution=solution)
    return out


@pytest.mark.parametrize('sources', [1, 2, 3])
def test_a_budget_is_spent_as_an_interior_point_spends_it(budget_cases, sources):
    of = budget_cases[sources]
    for p, b in np.ndindex(of.budgets.shape):
        best = by_cones(of.target[p], of.sizes[p], of.gram[p], of.budgets[p, b], of.costs)
        weights, quantities = (np.asarray(x[p, b], float) for x in (of.solution.weights, of.solution.quantities))
        result = error_by_hand(of.target[p], weights, quantities, of.gram[p])
        assert best * (1 - 1e-5) <= result <= best * (1 + 2e-3), (p, b)
        assert (quantities <= of.sizes[p] * (1 + 1e-6)).all() and quantities @ of.costs <= of.budgets[p, b] * (1 + 1e-5)


@pytest.mark.parametrize('sources', [1, 2, 3])
def test_more_budget_never_hurts_and_all_of_it_is_uowq(budget_cases, sources):
    of = budget_cases[sources]
    error = np.asarray(of.solution.error)
    assert (np.diff(error, axis=1) <= 1e-5 * error[:, 1:]).all() and (error[:, 0] > error[:, -1]).any()
    whole = source_weights(of.target, of.sizes, of.gram.astype(np.float32))
    np.testing.assert_allclose(error[:, -1], whole.error, rtol=1e-4)
    effective = np.asarray(of.solution.weights * of.solution.quantities)[:, -1]
    np.testing.assert_allclose(effective, whole.effective_sizes, rtol=1e-3, atol=1e-3 * float(whole.effective_sizes.max()))


def test_costs_decide_between_sources_that_are_alike():
    solution = measurement_of(20.0, [100.0, 100.0], np.zeros((1, 2, 2)), [1.0]).within(0.25, (1.0, 4.0))
    assert solution.quantities[0].tolist() == [100, 6]  # a quarter of 500: all of the cheap one, and the rest


def test_of_sources_without_bias_only_the_cheapest_is_bought():
    """Where G = 0 samples of all sources are alike."""
    result = measurement_of(20.0, [1000.0, 1000.0], np.zeros((1, 2, 2)), [1.0]).within(0.1, (1.0, 4.0)).quantities[0]
    np.testing.assert_allclose(result, [500, 0], atol=2)


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.float64])
def test_a_budget_is_spent_in_the_dtype_of_its_arguments(budget_cases, dtype):
    """Also of float32 arguments where JAX has float64 enabled; the other tests run without."""
    of = budget_cases[3]
    with jax.enable_x64(True):
        single = [jnp.asarray(x, dtype) for x in (of.target, of.sizes, of.gram, of.budgets[:, 1], of.costs)]
        solution = budgeted_weights(*single)
        assert solution.error.dtype == solution.residual.dtype == solution.quantities.dtype == dtype
        np.testing.assert_allclose(solution.error, of.solution.error[:, 1], rtol=2e-4)
