"""Exact linear fits: parameters equal scikit-learn's to 1e-4, for any weights, dense or sparse, alone or side by side."""
import dataclasses

import numpy as np
import pytest
import scipy.sparse
from scipy.optimize import check_grad
from sklearn.linear_model import LogisticRegression, Ridge

from transfer_jax.experiment.linear import fits
from transfer_jax.experiment.linear.objective import Block, make_objective, merged
from transfer_jax.experiment.linear.rows import make_rows

N, FEATURES, LANES = 60, 7, 3
PRIORS = np.array([0.3, 3.0, 30.0])


def problem(classes=3, seed=0, sparse=False):
    """(x [N, F], y [N], weights [L, N]): labels that features explain in part."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, FEATURES)) * rng.uniform(0.5, 3, FEATURES)
    if sparse:
        x *= rng.random(x.shape) < 0.08
    z = x @ rng.normal(size=(FEATURES, classes or 1)) + rng.normal(size=(N, classes or 1))
    weights = rng.uniform(0, 2, (LANES, N)) * (rng.random((LANES, N)) < 0.8)
    return x, z[:, 0] if classes is None else z.argmax(1), weights


def solve(x, y, weights, classes, prior=PRIORS, **options):
    lanes = np.arange(len(weights))
    block = Block(x if hasattr(x, 'moments') else make_rows(x), y, lanes, weights)
    return fits.fit_linear((block,), classes, prior, np.zeros((classes or 1, len(weights), FEATURES + 1)), **options)


@pytest.mark.parametrize('classes', [2, 3, 5])
def test_a_classifier_is_scikit_learns(classes):
    x, y, weights = problem(classes)
    result = solve(x, y, weights, classes)
    assert result.converged.all()
    for lane in range(LANES):
        strength = (2 if classes == 2 else 1) / PRIORS[lane]
        model = LogisticRegression(C=strength, tol=1e-10, max_iter=5000).fit(x, y, sample_weight=weights[lane])
        theta = result.theta[:, lane] if classes > 2 else result.theta[1:, lane] - result.theta[:1, lane]
        np.testing.assert_allclose(theta[:, :-1], model.coef_, atol=1e-4)
        np.testing.assert_allclose(theta[:, -1], model.intercept_, atol=1e-4)


def test_a_regression_is_scikit_learns():
    x, y, weights = problem(None)
    result = solve(x, y, weights, None)
    for lane in range(LANES):
        model = Ridge(alpha=PRIORS[lane], tol=1e-12).fit(x, y, sample_weight=weights[lane])
        np.testing.assert_allclose(result.theta[0, lane], [*model.coef_, model.intercept_], atol=1e-5)


@pytest.mark.parametrize('as_matrix', [True, False])
def test_sparse_rows_stay_sparse_and_are_scaled_as_dense_ones(as_matrix):
    x, y, weights = problem(3, sparse=True)
    mean, scale = x.mean(0), x.std(0) + 0.1
    rows = make_rows(scipy.sparse.csc_matrix(x) if as_matrix else x, mean, scale)
    assert scipy.sparse.issparse(rows.x) and rows.x.nnz < 0.1 * x.size + N
    dense = make_rows((x - mean) / scale)
    theta = np.random.default_rng(1).normal(size=(3, 2, FEATURES + 1))
    np.testing.assert_allclose(rows.product(theta), dense.product(theta), atol=1e-12)
    np.testing.assert_allclose(rows.transposed(dense.product(theta)), dense.transposed(dense.product(theta)), atol=1e-9)
    of_columns = rows.moments()
    np.testing.assert_allclose((of_columns.mean**2 + of_columns.variance)[:-1], np.diag(dense.moments())[:-1], atol=1e-12)
    np.testing.assert_allclose(rows.take(np.array([3, 1])).product(theta), dense.product(theta)[..., [3, 1]], atol=1e-12)
    np.testing.assert_allclose(solve(rows, y, weights, 3).theta, solve(dense, y, weights, 3).theta, atol=1e-4)


@pytest.mark.parametrize('classes', [None, 3])
def test_the_gradient_is_that_of_the_value(classes):
    x, y, weights = problem(classes)
    shape = (classes or 1, 1, FEATURES + 1)
    start = np.random.default_rng(0).normal(size=shape)
    objective = make_objective((Block(make_rows(x), y, np.array([0]), weights[:1]),), classes, np.full((1, FEATURES + 1), 0.7), start)
    at = np.random.default_rng(1).normal(size=shape)
    error = check_grad(lambda t: objective(t.reshape(shape))[0][0], lambda t: objective(t.reshape(shape))[1].ravel(), at.ravel())
    assert error < 1e-4 * np.abs(objective(at)[1]).max()


def test_fits_side_by_side_are_fits_alone(monkeypatch):
    """Chunks, blocks that only some fits learn from, and a first guess leave the optimum where it is."""
    x, y, weights = problem()
    whole = solve(x, y, weights, 3).theta
    warm = solve(x, y, weights, 3, warm=whole + 0.1)
    np.testing.assert_allclose(warm.theta, whole, atol=1e-4)
    again = solve(x, y, weights, 3, warm=whole)
    assert again.iterations.max() <= 2
    monkeypatch.setattr(fits, 'AT_ONCE', 1)
    np.testing.assert_allclose(solve(x, y, weights, 3).theta, whole, atol=1e-4)
    half = np.arange(N) < N // 2
    blocks = (Block(make_rows(x[half]), y[half], np.arange(LANES), weights[:, half]),
              *(Block(make_rows(x[~half]), y[~half], np.array([lane]), weights[[lane]][:, ~half]) for lane in range(LANES)))
    split = fits.fit_linear(blocks, 3, PRIORS, np.zeros((3, LANES, FEATURES + 1)))
    np.testing.assert_allclose(split.theta, whole, atol=1e-4)


def test_sparse_blocks_in_one_piece_are_the_same_objective():
    x, y, weights = problem(3, sparse=True)
    rows, lanes, dense = make_rows(scipy.sparse.csr_array(x), x.mean(0), x.std(0) + 0.1), np.arange(LANES), make_rows(x + 1)
    blocks = (Block(rows.take(np.arange(40)), y[:40], lanes, weights[:, :40]), Block(dense, y, lanes[1:], weights[1:]),
              Block(rows.take(np.arange(40, N)), y[40:], lanes[:2], weights[:2, 40:]))
    one = merged(blocks, LANES)
    assert [block.rows.sparse for block in one] == [True, False] and one[0].rows.shape[0] == N
    assert merged((blocks[0], dataclasses.replace(blocks[0], lanes=lanes[:0], weights=weights[:0, :40])), LANES + 4)[0] is blocks[0]
    start, pull = np.zeros((3, LANES, FEATURES + 1)), np.ones((LANES, FEATURES + 1))
    theta = np.random.default_rng(3).normal(size=start.shape)
    for ours, theirs in zip(make_objective(one, 3, pull, start)(theta), make_objective(blocks, 3, pull, start)(theta), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_a_pull_towards_a_start_and_a_class_without_rows():
    x, y, weights = problem()
    start = np.random.default_rng(0).normal(size=(3, LANES, FEATURES + 1))
    block = Block(make_rows(x), y, np.arange(LANES), weights)
    pulled = fits.fit_linear((block,), 3, np.full(LANES, 1e7), start).theta
    np.testing.assert_allclose(pulled[..., :-1], start[..., :-1], atol=1e-4)
    few = solve(x, np.minimum(y, 1), weights, 3)
    assert np.isfinite(few.theta).all() and few.converged.all() and (few.theta[2, :, -1] < few.theta[:2, :, -1] - 5).all()


@pytest.mark.parametrize('sparse', [(True, True), (False, False), (True, False), (False, True)])
def test_fits_of_few_rows_are_found_in_their_span(sparse):
    """Two data sets of fewer rows than features, some fits of one and some of both, all as scikit-learn has them."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 8, 20)) * (rng.random((2, 8, 20)) < np.where(sparse, 0.08, 1)[:, None, None])
    y, mean, scale = rng.permuted(np.tile(np.arange(8) % 3, (2, 1)), axis=1), rng.normal(size=20), rng.uniform(1, 2, 20)
    of_set = (np.array([0, 1, 3]), np.array([2, 3]))
    blocks = tuple(Block(make_rows(x[i], mean, scale), y[i], lanes, np.ones((len(lanes), 8))) for i, lanes in enumerate(of_set))
    assert tuple(scipy.sparse.issparse(block.rows.x) for block in blocks) == sparse
    prior = np.array([0.1, 1.0, 1.0, 1.0])
    result = fits.fit_linear(blocks, 3, prior, np.zeros((3, 4, 21)), warm=rng.normal(size=(3, 4, 21)))
    for lane in range(4):
        sets = [i for i in range(2) if lane in of_set[i]]
        scaled, labels = (np.concatenate(z[sets]) for z in ((x - mean) / scale, y))
        model = LogisticRegression(C=1 / prior[lane], tol=1e-10, max_iter=5000).fit(scaled, labels)
        np.testing.assert_allclose(result.theta[:, lane], np.column_stack([model.coef_, model.intercept_]), atol=1e-4)
