"""Derivatives of quantities against finite differences, and of problems that have no solution; what is refused."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import problems

from transfer_jax.debias import debias_gram
from transfer_jax.fisher import fisher_gram
from transfer_jax.quantities import transfer_quantities
from transfer_jax.weights import source_weights

SOURCES, COUNT = 5, 12


def direction(problem):
    """A change of (N0, N, G) of their size that keeps G symmetric and PSD: that of D G D as D leaves 1."""
    target, sizes, gram = problem
    rng = np.random.default_rng(1)
    scale = rng.standard_normal(sizes.shape)
    change = gram * (scale[:, :, None] + scale[:, None])
    return rng.standard_normal(target.shape) * target, rng.standard_normal(sizes.shape) * sizes, change


@pytest.mark.parametrize('kind', ['plain', 'diagonal', 'tiny', 'empty'])
def test_quantities_have_the_derivative_of_finite_differences_forwards_and_backwards(kind):
    problem, step = problems(kind, SOURCES, COUNT), 1e-6
    change = direction(problem)
    solve = lambda *problem: (lambda s: (s.quantities, s.error))(transfer_quantities(*problem))
    with jax.enable_x64(True):
        _, ours = jax.device_get(jax.jvp(solve, problem, change))
        at = lambda part: jax.device_get(solve(*(x + part * dx for x, dx in zip(problem, change, strict=True))))
        truth = [(after - before) / (2 * step) for after, before in zip(at(step), at(-step), strict=True)]
        back = jax.device_get(jax.grad(lambda problem: jnp.sum(solve(*problem)[0]))(problem))
    largest = np.abs(truth[0]).max(1, keepdims=True) + 1e-3
    np.testing.assert_allclose(ours[0] / largest, truth[0] / largest, atol=1e-4)
    np.testing.assert_allclose(ours[1], truth[1], rtol=1e-5)
    np.testing.assert_allclose(sum(np.vdot(x, dx) for x, dx in zip(back, change, strict=True)), np.sum(ours[0]), rtol=1e-8)


def test_identical_sources_share_a_change():
    gram = jnp.full((2, 2), 0.05)
    change = jax.jacrev(lambda target: transfer_quantities(target, np.float32([100, 300]), gram).quantities)(jnp.float32(15))
    alone = jax.grad(lambda target: transfer_quantities(target, np.float32([400]), gram[:1, :1]).quantities[0])(jnp.float32(15))
    np.testing.assert_allclose(jnp.sum(change), alone, rtol=1e-2)
    assert np.isfinite(change).all() and (change != 0).all()


@pytest.mark.parametrize('solve', [source_weights, transfer_quantities])
def test_the_derivative_of_a_problem_without_a_solution_is_nan_and_its_neighbours_is_not(solve):
    target, sizes, gram = (jnp.asarray(x, jnp.float32) for x in problems('plain', 3, COUNT))
    gram = gram.at[1].multiply(-1)
    gradient = jax.grad(lambda problem: jnp.nansum(solve(*problem).error))((target, sizes, gram))
    for part in gradient:
        assert np.isnan(part).reshape(COUNT, -1).all(1).tolist() == [number == 1 for number in range(COUNT)]


def test_what_is_no_number_of_samples_or_parameters_is_refused():
    with pytest.raises(ValueError, match='complex'):
        source_weights(1.0, [3, 4], np.eye(2) * 1j)
    with pytest.raises(ValueError, match='complex'):
        transfer_quantities(1.0, [3, 4j], np.eye(2))
    for d in (0, -3, np.nan, np.inf):
        with pytest.raises(ValueError, match='above 0'):
            debias_gram(np.eye(2), 5, [3, 4], d)
        with pytest.raises(ValueError, match='above 0'):
            fisher_gram(lambda p, x: p @ x, jnp.ones(2), jnp.ones((1, 2)), jnp.ones((3, 2)), d=d)


def test_a_gram_keeps_the_precision_of_its_inputs():
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        params, deltas, x = rng.standard_normal((4, 3)), rng.standard_normal((2, 4, 3)), rng.standard_normal((7, 4))
        gram = fisher_gram(lambda p, x: x @ p, params, deltas, x, kind='true')
        p = np.asarray(jax.nn.softmax(x @ params))
        change = np.einsum('ni,kic->knc', x, deltas)
        truth = np.einsum('knc,ncd,ldn->kl', change, np.einsum('nc,cd->ncd', p, np.eye(3)) - p[:, :, None] * p[:, None],
                          change.swapaxes(1, 2)) / 7 / 12
    assert gram.dtype == np.float64
    np.testing.assert_allclose(gram, truth, rtol=1e-13)
