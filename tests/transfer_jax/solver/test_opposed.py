"""Sources whose biases cancel, in float32: what is called SOLVED is as good as in float64, and lost precision is said."""
import jax
import numpy as np
import pytest

from transfer_jax.quantities import transfer_quantities
from transfer_jax.runtime.errors import UserError
from transfer_jax.solver.solution import Status, check
from transfer_jax.weights import source_weights


def rank_one(sources):
    """(target, sizes, G = b b' as float64 of float32 numbers b) of a model with one parameter, for several sizes of the sources."""
    b = np.random.default_rng(sources).standard_normal(sources).astype(np.float32).astype(float)
    sizes = np.repeat(np.geomspace(10, 1e7, 13)[:, None], sources, 1)
    return 20.0, sizes, np.broadcast_to(np.outer(b, b), (13, sources, sources))


def opposed(bias):
    """Two sources that cancel each other wholly: every number is exact in float32, and the right weights are 1."""
    sizes = np.repeat(2.0 ** np.arange(4, 30, 2)[:, None], 2, 1)
    return 5.0, sizes, np.broadcast_to(bias * np.array([[1.0, -1], [-1, 1]]), (13, 2, 2))


PROBLEMS = [opposed(1.0), opposed(2.0**-7), *map(rank_one, (3, 30, 100))]


def both(solve, problem):
    """The Solutions in float32 and in float64 of the exact problem."""
    with jax.enable_x64(True):
        double = jax.device_get(solve(*(np.asarray(part, np.float64) for part in problem)))
    return jax.device_get(solve(*(np.asarray(part, np.float32) for part in problem))), double


def error(target, sizes, gram, u):
    """F in float64 of effective sizes; sizes: None where all samples have weight 1."""
    noise = u.sum(-1) if sizes is None else (u * u / sizes).sum(-1)
    return (target + noise + np.einsum('bk,bkl,bl->b', u, gram, u)) / (target + u.sum(-1)) ** 2


@pytest.mark.parametrize('number', range(len(PROBLEMS)))
def test_weights_that_are_called_solved_are_as_good_as_in_float64(number):
    target, sizes, gram = PROBLEMS[number]
    single, double = both(source_weights, PROBLEMS[number])
    ours, best = (error(target, sizes, gram, s.effective_sizes.astype(float)) for s in (single, double))
    solved = single.status == Status.SOLVED
    assert solved[:4].all() and not solved[-1]
    assert (ours / best <= 1 + 2e-5)[solved].all()
    np.testing.assert_allclose(single.error[solved], ours[solved], rtol=2e-3)
    np.testing.assert_allclose(single.effective_sizes.sum(1)[solved], double.effective_sizes.sum(1)[solved], rtol=2e-3)


@pytest.mark.parametrize('bias', [1.0, 2.0**-7])
def test_what_is_exact_in_float32_is_solved_well_beyond_what_is_promised(bias):
    target, sizes, gram = opposed(bias)
    single, _ = both(source_weights, (target, sizes, gram))
    fair = bias * sizes[:, 0] <= 2**19
    np.testing.assert_allclose(single.weights[fair], 1, rtol=1e-4)


@pytest.mark.parametrize('number', range(len(PROBLEMS)))
def test_quantities_that_are_called_solved_are_as_good_as_in_float64(number):
    target, _, gram = PROBLEMS[number]
    single, double = both(transfer_quantities, PROBLEMS[number])
    ours, best = (error(target, None, gram, s.quantities.astype(float)) for s in (single, double))
    solved = (single.status == Status.SOLVED) & (double.status == Status.SOLVED)
    assert solved[:3].all() and not solved[-1]
    assert (ours / best <= 1 + 1e-4)[solved].all()
    np.testing.assert_allclose(single.error[solved], ours[solved], rtol=2e-3)


def test_a_benign_neighbour_is_solved_as_alone():
    hostile, benign = opposed(1.0), rank_one(2)
    sizes, gram = (np.concatenate([one, other]).astype(np.float32) for one, other in zip(hostile[1:], benign[1:], strict=True))
    together, alone = (source_weights(np.float32(5), *part) for part in ((sizes, gram), (sizes[13:20], gram[13:20])))
    np.testing.assert_array_equal(together.weights[13:20], alone.weights)


def test_the_error_of_a_problem_beyond_float32_says_what_to_do_and_that_solves_it():
    target, sizes, gram = (np.float32(part[-1]) if np.ndim(part) else np.float32(part) for part in opposed(1.0))
    with pytest.raises(UserError, match=r'cancel beyond the precision of the dtype: \(0,\)\); give float64 arrays, with JAX_ENABLE_X64=1'):
        check(source_weights(target, sizes[None], gram[None]))
    with jax.enable_x64(True):
        solved = check(source_weights(np.float64(target), sizes[None].astype(float), gram[None].astype(float)))
    np.testing.assert_allclose(solved.weights, 1, rtol=1e-5)


@pytest.mark.filterwarnings('ignore:overflow encountered in cast')
def test_a_finite_number_that_float32_makes_infinite_is_explained():
    with pytest.raises(UserError, match=r'infinite: \(0,\)\); in float32 every number above 3.4e38 is infinite: .* JAX_ENABLE_X64=1'):
        check(source_weights(20.0, np.full((1, 2), 1e39), 1e-3 * np.eye(2)[None]))
