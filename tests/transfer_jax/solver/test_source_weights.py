"""Optimal weights: closed forms, enumeration, and what must hold of any optimum."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import KINDS, enumerated, objective, problems, residual

from transfer_jax.objective import predicted_error, single_source_weight
from transfer_jax.quantities import transfer_quantities
from transfer_jax.runtime.errors import UserError
from transfer_jax.solver.solution import Status, check
from transfer_jax.weights import source_weights

FEW, COUNT = [1, 2, 3, 5], 12  # sources and problems of most tests: each pair of numbers is a program of its own


def solve(target, sizes, gram):
    """The Solution in float64, on the host."""
    with jax.enable_x64(True):
        return jax.device_get(source_weights(*(np.asarray(x, np.float64) for x in (target, sizes, gram))))


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('sources', FEW)
def test_the_optimum_of_every_kind_is_the_enumerated_one(kind, sources):
    target, sizes, gram = problems(kind, sources, COUNT)
    result = check(solve(target, sizes, gram))
    for i in range(len(target)):
        truth = enumerated(sizes[i], gram[i])
        assert residual(sizes[i], gram[i], result.effective_sizes[i]) <= 1e-14
        gap = objective(sizes[i], gram[i], result.effective_sizes[i]) - objective(sizes[i], gram[i], truth)
        assert gap <= 1e-13 * abs(objective(sizes[i], gram[i], truth))


def test_one_source_and_a_diagonal_gram_have_closed_forms():
    target, sizes, gram = problems('diagonal', 5, COUNT)
    result = solve(target, sizes, gram)
    np.testing.assert_allclose(result.weights, 1 / (1 + sizes * np.diagonal(gram, axis1=1, axis2=2)), rtol=1e-14)
    alone = solve(target, sizes[:, :1], gram[:, :1, :1])
    with jax.enable_x64(True):
        np.testing.assert_allclose(alone.weights[:, 0], single_source_weight(sizes[:, 0], gram[:, 0, 0]), rtol=1e-14)


def test_weights_above_one_where_biases_cancel():
    result = solve(100, [1000, 1000], 0.01 * np.array([[4, -2], [-2, 1]]))
    np.testing.assert_allclose(result.weights, [0.6078, 1.1961], atol=5e-5)


def test_no_bias_means_weight_one_and_the_error_of_all_samples():
    result = solve([5, 50], [10, 20, 30], np.zeros((3, 3)))
    np.testing.assert_allclose(result.weights, 1)
    np.testing.assert_allclose(result.error, [1 / 65, 1 / 110])


def test_a_source_without_samples_gets_the_weight_of_its_first_and_changes_nothing():
    target, sizes, gram = problems('plain', 3, COUNT)
    sizes[:, 2] = 0
    result, without = solve(target, sizes, gram), solve(target, np.delete(sizes, 2, 1), np.delete(np.delete(gram, 2, 1), 2, 2))
    np.testing.assert_allclose(np.delete(result.weights, 2, 1), without.weights, rtol=1e-12, atol=1e-15)
    sizes[:, 2] = 1e-9
    np.testing.assert_allclose(result.weights[:, 2], solve(target, sizes, gram).weights[:, 2], atol=1e-6)


def test_a_boundless_bias_changes_nothing():
    target, sizes, gram = problems('plain', 3, COUNT)
    gram[:, 1, :] = gram[:, :, 1] = 0
    gram[:, 1, 1] = 1e30
    result, without = solve(target, sizes, gram), solve(target, np.delete(sizes, 1, 1), np.delete(np.delete(gram, 1, 1), 1, 2))
    np.testing.assert_allclose(np.delete(result.weights, 1, 1), without.weights, rtol=1e-12, atol=1e-15)
    assert result.weights[:, 1].max() < 1e-29


@settings(max_examples=40, deadline=None)
@given(sources=st.sampled_from(FEW), seed=st.integers(0, 10**6), kind=st.sampled_from(KINDS))
def test_symmetries(sources, seed, kind):
    target, sizes, gram = problems(kind, sources, COUNT, seed)
    rng = np.random.default_rng(seed)
    result = solve(target, sizes, gram)
    order = rng.permutation(sources)
    variant = solve(target, sizes[:, order], gram[:, order][:, :, order])
    size = result.effective_sizes.sum(1, keepdims=True)
    back = np.empty_like(variant.effective_sizes)
    back[:, order] = variant.effective_sizes
    if kind not in ('rank one', 'rank half', 'identical', 'opposed'):  # elsewhere flat directions magnify rounding
        np.testing.assert_allclose(back, result.effective_sizes, atol=1e-9 * size.max())
    np.testing.assert_allclose(variant.effective_sizes.sum(1), size[:, 0], rtol=1e-9)
    multiple = solve(target, sizes * 16, gram / 16)  # whose square root is a power of two: nothing is rounded otherwise
    np.testing.assert_array_equal(multiple.weights, result.weights)
    half = sizes / 2
    split = solve(target, np.concatenate([half, half], 1), np.tile(gram, (1, 2, 2)))
    np.testing.assert_allclose(split.effective_sizes.sum(1), size[:, 0], rtol=1e-9)
    np.testing.assert_allclose(result.error, 1 / (target + size[:, 0]), rtol=1e-12)


def test_a_batch_is_its_elements_and_jit_changes_nothing():
    target, sizes, gram = problems('plain', 5, 700)  # more than one chunk, the last not full
    whole = solve(target, sizes, gram)
    with jax.enable_x64(True):
        alone = [source_weights(*problem) for problem in zip(target[:5], sizes[:5], gram[:5], strict=True)]
        outer = jax.vmap(source_weights)(target[-5:], sizes[-5:], gram[-5:])
        common = source_weights(target[:, None], sizes[0], gram[0])
    np.testing.assert_allclose([one.weights for one in alone], whole.weights[:5], rtol=1e-12)
    np.testing.assert_allclose(outer.weights, whole.weights[-5:], rtol=1e-12)
    assert common.weights.shape == (700, 1, 5) and common.error.shape == (700, 1)


def test_the_prediction_is_the_objective_of_the_weights():
    target, sizes, gram = problems('rank half', 5, COUNT)
    result = solve(target, sizes, gram)
    with jax.enable_x64(True):
        np.testing.assert_allclose(predicted_error(target, sizes, gram, result.weights), result.error, rtol=1e-10)


@pytest.mark.parametrize('sources', [3, 12, 45])
def test_derivatives_match_finite_differences(sources):
    target, sizes, gram = (x[0] for x in problems('plain', sources, 1, seed=3))
    rng = np.random.default_rng(0)
    way_sizes, way = sizes * rng.standard_normal(sources), gram * 0.1
    way = way + way.T
    with jax.enable_x64(True):
        at = lambda h: source_weights(target, sizes + h * way_sizes, gram + h * way)
        step = 1e-5
        outputs = lambda s: jnp.concatenate([s.weights, s.effective_sizes, s.error[None]])
        tangent = outputs(jax.jvp(at, (0.0,), (1.0,))[1])
        difference = (outputs(at(step)) - outputs(at(-step))) / (2 * step)
        np.testing.assert_allclose(tangent, difference, rtol=1e-5, atol=1e-5 * float(jnp.max(jnp.abs(difference))) * 1e-2)
        gradient = jax.grad(lambda gram: source_weights(target, sizes, gram).error)(gram)
        v = at(0.0).effective_sizes * at(0.0).error
        np.testing.assert_allclose((gradient + gradient.T) / 2, jnp.outer(v, v), rtol=1e-9, atol=1e-18)  # dF*/dG = v v'


@pytest.mark.parametrize('sources', [1, 3, 12, 30])
@pytest.mark.parametrize('kind', ['plain', 'diagonal', 'tiny', 'empty'])
def test_float32_is_close_on_benign_problems(kind, sources):
    target, sizes, gram = (x.astype(np.float32) for x in problems(kind, sources, COUNT))
    result, truth = jax.device_get(source_weights(target, sizes, gram)), solve(target, sizes, gram)
    assert result.weights.dtype == np.float32
    np.testing.assert_allclose(result.weights, truth.weights, atol=1e-5)
    best = objective(sizes, gram, truth.effective_sizes)
    assert np.all(objective(sizes, gram, result.effective_sizes) - best <= 1e-6 * np.abs(best))


def test_bad_problems_have_a_status_and_spoil_no_neighbour():
    target, sizes, gram = problems('plain', 3, COUNT)
    good = solve(target, sizes, gram)
    gram[1, 0, 1] = np.nan
    sizes[2, 0] = np.inf
    target[3] = -1
    gram[4] = -gram[4]
    gram[5] = [[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]]  # its 2 x 2 minors are positive
    gram[6, 0, 2] += 1 + abs(gram[6]).max()
    result = solve(target, sizes, gram)
    bad = [Status.NOT_FINITE, Status.NOT_FINITE, Status.NEGATIVE_SIZE] + 3 * [Status.NOT_PSD]
    assert result.status.tolist() == [0, *bad, *[0] * (COUNT - 7)]
    np.testing.assert_array_equal(*(np.delete(solution.weights, range(1, 7), 0) for solution in (result, good)))
    assert np.isnan(result.weights[1:7]).all() and np.isnan(result.error[1:7]).all()
    words = r'6 of 12 problems are not solved \(a size or an entry of gram is NaN or infinite: \(1,\), \(2,\);'
    with pytest.raises(UserError, match=words):
        check(result)


@pytest.mark.parametrize(('sizes', 'gram'), [((3,), (2, 2)), ((3,), (3,)), ((), ())])
def test_shapes_that_do_not_go_together_are_refused(sizes, gram):
    with pytest.raises(ValueError, match=r'source_sizes must be \[\.\.\., K\]'):
        source_weights(1.0, np.ones(sizes), np.ones(gram))


def test_the_derivative_sees_the_first_samples_of_a_source():
    gram, step = np.array([[0.05, 0.03], [0.03, 0.08]]), 1e-6
    with jax.enable_x64(True):
        error = lambda sizes: source_weights(10.0, sizes, gram).error
        result = jax.grad(error)(jnp.array([100.0, 0.0]))
        truth = (error(jnp.array([100.0, step])) - error(jnp.array([100.0, 0.0]))) / step
    np.testing.assert_allclose(result[1], truth, rtol=1e-4)


def test_without_any_sample_the_error_is_infinite():
    assert predicted_error(0, [0, 0], np.eye(2)) == np.inf
    assert source_weights(0, [0, 0], np.eye(2)).error == np.inf
    result = check(transfer_quantities(0, [0, 0], np.eye(2)))
    assert result.error == np.inf and (result.quantities == 0).all()
