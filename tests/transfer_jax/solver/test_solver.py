"""The solver's parts: double-float remainders, masked solves, and the rounds of pivoting."""
import fractions

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import problems

from transfer_jax.solver import precise, weights
from transfer_jax.solver.factor import compact_cholesky, masked_cholesky, scalar_ldl
from transfer_jax.solver.layout import FIRST, LAST
from transfer_jax.solver.pivoting import run_rounds
from transfer_jax.solver.weights import plain_remainder_of, rescale

exact = np.vectorize(fractions.Fraction)


def test_sums_and_products_lose_next_to_nothing():
    rng = np.random.default_rng(0)
    a, b = ((rng.standard_normal(1000) * 10 ** rng.uniform(-6, 6, 1000)).astype(np.float32) for _ in range(2))
    high, low = (np.asarray(x, np.float64) for x in jax.jit(precise.two_sum)(a, b))
    assert (exact(high) + exact(low) == exact(a.astype(float)) + exact(b.astype(float))).all()
    np.testing.assert_array_equal(high.astype(np.float32), a + b)
    high, low = (np.asarray(x, np.float64) for x in jax.jit(precise.product)(a, b))
    np.testing.assert_allclose(high + low, a.astype(float) * b, rtol=2.0**-34)
    upper = precise.upper(a)
    assert (exact(high) == exact(np.asarray(upper, float)) * exact(np.asarray(precise.upper(b), float))).all()


@pytest.mark.parametrize('layout', [LAST, FIRST])
@pytest.mark.parametrize('size', [3, 30])
def test_a_remainder_is_right_to_rounding_where_plain_arithmetic_has_nothing_left(layout, size):
    """x solves A x = b to float32: what remains is all rounding."""
    rng = np.random.default_rng(size)
    a = rng.standard_normal((4, size, size)).astype(np.float32)
    a += a.swapaxes(1, 2)
    x = rng.standard_normal((4, size)).astype(np.float32)
    b = np.einsum('ckl,cl->ck', a.astype(float), x).astype(np.float32)
    low = (1e-9 * rng.standard_normal((4, size))).astype(np.float32)
    truth = b - np.einsum('ckl,cl->ck', a.astype(float), x) - low.astype(float) * x
    to_layout = (lambda v: np.moveaxis(v, 0, -1)) if layout is LAST else (lambda v: v)
    result, terms = jax.jit(lambda a, low, b, x: precise.remainder_of(layout, a, low)(b, x))(*map(to_layout, (a, low, b, x)))
    np.testing.assert_allclose(result, to_layout(truth), atol=2.0**-34 * np.max(terms))
    np.testing.assert_allclose(terms, to_layout(np.einsum('ckl,cl->ck', abs(a), abs(x)) + abs(b)), rtol=1e-3)


@pytest.mark.parametrize(('factor', 'layout', 'size', 'count'), [
    (scalar_ldl, LAST, 1, 3), (scalar_ldl, LAST, 6, 5), (masked_cholesky, FIRST, 9, 4), (compact_cholesky, FIRST, 40, 1)])
def test_a_solve_on_the_free_set_is_that_of_the_submatrix(factor, layout, size, count):
    rng = np.random.default_rng(1)
    root = rng.standard_normal((count, size, size))
    a, b = root @ root.swapaxes(1, 2) / size + np.eye(size), rng.standard_normal((count, size))
    to_layout = (lambda v: np.moveaxis(v, 0, -1)) if layout is LAST else (lambda v: v)
    for share in (0.0, 0.1, 0.2, 0.4, 0.7, 1.0):  # compact_cholesky has another way for each
        free = np.arange(size) < np.ceil(share * size)
        free = np.stack([rng.permutation(free) for _ in range(count)])
        with jax.enable_x64(True):
            x, definite = jax.jit(lambda a, b, free: factor(a)(free, lambda substitute: substitute(b)))(*map(to_layout, (a, b, free)))
        assert definite.all()
        for i, row in enumerate(np.asarray(x).T if layout is LAST else np.asarray(x)):
            truth = np.zeros(size)
            truth[free[i]] = np.linalg.solve(a[i][np.ix_(free[i], free[i])], b[i][free[i]])
            np.testing.assert_allclose(row, truth, atol=1e-12)


@pytest.mark.parametrize(('factor', 'layout'), [(scalar_ldl, LAST), (masked_cholesky, FIRST)])
def test_a_problem_indefinite_on_its_free_set_has_that_status_and_its_neighbour_not(factor, layout):
    a = np.stack([np.array([[1, 2], [2, 1.0]]), np.eye(2)])
    a, free = (np.moveaxis(a, 0, -1), np.array([[True, True], [True, True]])) if layout is LAST else (a, np.ones((2, 2), bool))
    solve = factor(jnp.asarray(a, jnp.float32))
    ones = jnp.ones((2, 2), jnp.float32)
    assert solve(jnp.asarray(free), lambda substitute: substitute(ones))[1].tolist() == [False, True]
    alone = np.moveaxis(np.array([[True, False], [True, True]]), 0, -1 if layout is LAST else 0)  # of the first problem, one source
    assert solve(jnp.asarray(alone), lambda substitute: substitute(ones))[1].tolist() == [True, True]


def test_pivoting_ends_from_any_guess_at_the_same_point():
    _, sizes, gram = problems('rank half', 6, 40)
    rng = np.random.default_rng(3)
    with jax.enable_x64(True):
        problem = rescale(FIRST, jnp.asarray(sizes), jnp.asarray(gram))
        end = jax.jit(lambda guess: run_rounds(FIRST, problem, masked_cholesky, plain_remainder_of, guess, 200, 0))
        ends = [jax.device_get(end(rng.random(sizes.shape) < share)) for share in (0.0, 0.3, 0.7, 1.0)]
    for state in ends:
        assert not state.wrong.any() and state.residual.max() < 1e-14
        np.testing.assert_allclose(np.maximum(state.x, 0), np.maximum(ends[0].x, 0), atol=1e-9)


@pytest.mark.parametrize(('size', 'count'), [(3, 700), (12, 60), (70, 3)])
def test_how_problems_are_cut_into_chunks_changes_nothing(size, count, monkeypatch):
    """A CPU's chunks, an accelerator's, which take all problems at once, and small ones that do not divide the batch."""
    _, sizes, gram = problems('plain', size, count)
    result = []
    for chunks in (weights.CHUNKS, {}, {'cpu': (64, 7 * size**2)}):
        monkeypatch.setattr(weights, 'CHUNKS', chunks)
        with jax.enable_x64(True):
            u, (residual, status, _) = jax.device_get(jax.jit(lambda *problem: weights.optimal_sizes(*problem))(sizes, gram))
        assert (status == 0).all() and residual.max() < 1e-13
        result.append(u)
    for u in result[1:]:
        np.testing.assert_allclose(u, result[0], rtol=1e-9)
