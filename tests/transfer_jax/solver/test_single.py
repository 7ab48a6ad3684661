"""One small problem of NumPy arrays: solved without JAX, to the batched solver's result, or left to it."""
import jax
import numpy as np
import pytest
from problems import KINDS, enumerated, objective, problems

from transfer_jax.solver.single import LARGEST, solve_one
from transfer_jax.solver.solution import Status, check
from transfer_jax.weights import source_weights

COUNT = 8


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('sources', [1, 2, 3, 5])
def test_every_plain_problem_is_solved_to_the_enumerated_optimum(kind, sources):
    solved = 0
    for target, sizes, gram in zip(*problems(kind, sources, COUNT), strict=True):
        gram = (gram + gram.T) / 2
        with jax.enable_x64(True):
            result = solve_one(target, sizes, gram)
        if result is None:
            continue
        solved += 1
        truth = enumerated(sizes, gram)
        assert objective(sizes, gram, result.effective_sizes) - objective(sizes, gram, truth) <= 1e-13 * abs(objective(sizes, gram, truth))
        np.testing.assert_allclose(result.error, 1 / (target + truth.sum()), rtol=1e-9)
        assert result.weights.dtype == np.float64 and result.residual <= 1e-12 and check(result) is result
        np.testing.assert_allclose(result.weights, result.effective_sizes / sizes)
    assert solved >= (COUNT - 2) * (kind not in ('empty', 'huge', 'opposed', 'rank one', 'identical', 'rank half'))


def test_the_result_has_the_dtype_and_value_of_the_batched_solver():
    target, sizes, gram = (x[0] for x in problems('plain', 3, COUNT))
    for dtype in (np.float32, np.float64):
        alone = source_weights(dtype(target), sizes.astype(dtype), gram.astype(dtype))
        batched = source_weights(dtype(target), sizes[None].astype(dtype), gram.astype(dtype))
        assert type(alone.weights) is np.ndarray and alone.weights.dtype == batched.weights.dtype == np.float32
        np.testing.assert_allclose(alone.weights, batched.weights[0], rtol=1e-5)
        np.testing.assert_allclose(alone.error, batched.error[0], rtol=1e-5)
    assert source_weights(10, [100, 200], np.eye(2)).weights.shape == (2,)


@pytest.mark.parametrize(('target', 'sizes', 'gram'), [
    (5.0, [10.0, 0], np.eye(2)), (-1.0, [10.0, 20], np.eye(2)), (5.0, [10.0, np.nan], np.eye(2)), (5.0, [10.0, np.inf], np.eye(2)),
    (5.0, [10.0, 20], -np.eye(2)), (5.0, [10.0, 20], np.full((2, 2), np.nan)), (5.0, [10.0, 20], np.array([[1.0, 0.2], [0.1, 1]])),
    (5.0, [1e15, 1e15], np.array([[1.0, -1], [-1, 1]])), (5.0, [10.0], np.eye(2)), (5.0, [10.0, 20], np.eye(2) * 1j),
    (5.0, [10.0] * (LARGEST + 1), np.eye(LARGEST + 1)), (5.0, [], np.zeros((0, 0)))])
def test_what_is_not_plain_is_left_to_the_batched_solver(target, sizes, gram):
    assert solve_one(target, np.array(sizes), gram) is None


def test_opposed_sources_are_solved_in_float64_whatever_the_dtype_and_rounding_of_gram_is_said():
    gram = np.array([[1, -1], [-1, 1]], np.float32)
    for size, status in ((1e3, Status.SOLVED), (1e7, Status.INACCURATE)):
        result = source_weights(np.float32(5), np.full(2, size, np.float32), gram)
        assert result.status == status
    np.testing.assert_allclose(source_weights(np.float32(5), np.full(2, 1e3, np.float32), gram).weights, 1, rtol=1e-6)


def test_under_tracing_jax_solves():
    gram = np.eye(2, dtype=np.float32)
    weights = jax.jit(lambda sizes: source_weights(1.0, sizes, gram).weights)(np.float32([1, 3]))
    np.testing.assert_allclose(weights, [0.5, 0.25])
    np.testing.assert_allclose(jax.grad(lambda g: source_weights(1.0, np.float32([1, 3]), g).weights[0])(gram)[0, 0], -0.25, rtol=1e-5)
