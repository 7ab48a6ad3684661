"""What SOLVED promises of F and of the reported error, over conditioning and precision, against an active-set method in float64."""
import jax
import numpy as np
import pytest
import scipy.optimize

from transfer_jax.quantities import transfer_quantities
from transfer_jax.solver.quantities import shortfall
from transfer_jax.solver.solution import LOST, Status
from transfer_jax.weights import source_weights

TARGET, COUNT = 5.0, 150


def ill_conditioned(sources, seed=0):
    """(N [B, K], G [B, K, K]), exact in float32: of every rank, sizes to 1e9, with biases that cancel up to noise of every size."""
    rng = np.random.default_rng([seed, sources])
    scale = 10 ** rng.uniform(-2, 0, (COUNT, 1, sources))
    of_rank = np.arange(sources) < rng.integers(1, sources + 1, COUNT)[:, None]
    shared = rng.standard_normal((COUNT, sources, sources)) * scale * of_rank[:, :, None]
    own = rng.standard_normal((COUNT, sources, sources)) * 10 ** rng.uniform(-5, 0, (COUNT, 1, 1)) * (rng.random((COUNT, 1, 1)) < 0.4)
    deltas = np.concatenate([shared, own], 1)
    gram = np.einsum('bdk,bdl->bkl', deltas, deltas).astype(np.float32).astype(float)
    sizes = 10 ** rng.uniform(0, 9, (COUNT, 1)) * 10 ** (rng.uniform(-2, 0, (COUNT, sources)) * (rng.random((COUNT, 1)) < 0.5))
    return sizes.astype(np.float32).astype(float), gram


def active_set(sizes, gram):
    """u* [K] by non-negative least squares on a Cholesky factor; None where rounding made M indefinite."""
    root = np.sqrt(sizes)
    try:
        factor = np.linalg.cholesky(np.eye(len(root)) + root[:, None] * gram * root)
    except np.linalg.LinAlgError:
        return None
    return scipy.optimize.nnls(factor.T, np.linalg.solve(factor, root))[0] * root


def error(sizes, gram, u):
    """F of effective sizes u [K], in long double."""
    u, gram = u.astype(np.longdouble), gram.astype(np.longdouble)
    return float((TARGET + np.sum(u * u / sizes) + u @ gram @ u) / (TARGET + u.sum()) ** 2)


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
@pytest.mark.parametrize('sources', [2, 6, 20])
def test_solved_bounds_the_error_and_what_is_reported_of_it(sources, dtype):
    sizes, gram = ill_conditioned(sources)
    with jax.enable_x64(dtype == np.float64):
        result = jax.device_get(source_weights(dtype(TARGET), sizes.astype(dtype), gram.astype(dtype)))
    optima = [active_set(*problem) for problem in zip(sizes, gram, strict=True)]
    solved = 0
    for number, u in enumerate(optima):
        if u is not None and result.status[number] == Status.SOLVED:
            ours = error(sizes[number], gram[number], result.effective_sizes[number].astype(float))
            assert ours <= (1 + LOST) * error(sizes[number], gram[number], u)
            np.testing.assert_allclose(result.error[number], ours, rtol=LOST)
            solved += 1
    assert solved > 0.75 * COUNT
    defined = np.array([u is not None for u in optima])
    assert np.isin(result.status[defined], [Status.SOLVED, Status.INACCURATE]).all()  # none is said to be indefinite that is not


def test_the_bound_of_quantities_holds_at_points_that_are_not_optimal():
    sizes, gram = ill_conditioned(6)
    with jax.enable_x64(True):
        target = np.full(COUNT, TARGET)
        best = jax.device_get(transfer_quantities(target, sizes, gram))
        n = sizes * np.random.default_rng(0).random(sizes.shape)
        bound = jax.device_get(jax.jit(shortfall)(target, sizes, gram, n))
    total = TARGET + n.sum(1)
    ours = 1 / total + np.einsum('bk,bkl,bl->b', n, gram, n) / total**2
    solved = best.status == Status.SOLVED  # others: rounding to float32 made G indefinite, by more than float64 forgives
    assert solved.sum() > 0.4 * COUNT and (ours / best.error <= (1 + bound) * (1 + 1e-9))[solved].all()


@pytest.mark.parametrize(('sources', 'size'), [(100, 1e7), (100, 1e9)])
def test_a_gram_that_rounding_made_indefinite_has_a_result_and_says_so(sources, size):
    b = np.random.default_rng(sources).standard_normal(sources).astype(np.float32)
    result = source_weights(np.float32(20), np.full(sources, size, np.float32), np.outer(b, b))
    assert result.status == Status.INACCURATE and np.isfinite(result.weights).all()
