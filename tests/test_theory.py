"""The theory against refitted models: realised KL is d/2 F at the optimal weights, and least there."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.refits import World, divergence, fit, information, probabilities, subsets
from benchmarks.theory import MODELS, SCALES, experiment
from benchmarks.theory_page import NONE, PATH, excess, mean_and_error
from transfer_jax.objective import single_source_quantity

BEST, HALF, DOUBLE = (PATH + SCALES.index(scale) for scale in (1.0, 0.5, 2.0))


@pytest.mark.parametrize('model', MODELS)
def test_realised_kl_is_the_prediction_at_the_optimum_and_least_there(model):
    with jax.enable_x64(True):
        case = experiment(1, model, 20, 2, 20, runs=200)
    assert np.isfinite(case.kl).all()
    ratio, error = mean_and_error(case.kl[:, BEST] / case.predicted[BEST])
    assert error < 0.04 and abs(ratio - 1) < 0.05 + 2 * error
    for column in (HALF, DOUBLE, NONE):
        cost, error = excess(case.kl, column, BEST)
        assert cost > 2 * error


def test_one_source_is_best_used_up_to_the_closed_form():
    target, distance, all_of_it = 100.0, np.array([0.4, 1.0]), 400.0
    with jax.enable_x64(True):
        best = np.asarray(single_source_quantity(target, all_of_it, distance / target))
        np.testing.assert_allclose(best, [all_of_it, target])
        fewer, wanted, more = subsets(jax.random.key(0), target, distance[1], best[1] * np.array([0.5, 1, 2]), d=20, runs=2000).mean(0)
        some, everything = subsets(jax.random.key(0), target, distance[0], np.array([0.5, 1]) * all_of_it, d=20, runs=2000).mean(0)
    assert wanted < min(fewer, more) and everything < some


def test_the_fit_is_stationary_and_information_is_the_curvature_of_kl():
    """So the benchmark's own truths hold: by automatic differentiation of log-likelihood and KL."""
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(0), 3)
        design, theta = jax.random.normal(keys[0], (60, 3)), jax.random.normal(keys[1], (3, 2))
        counts = jax.random.uniform(keys[2], (60, 3))
        fitted = jax.jit(fit)(0 * theta, counts, design)
        gradient = jax.jit(jax.grad(lambda x: jnp.sum(counts * jnp.log(probabilities(x, design)))))(fitted)
        curvature = jax.jit(jax.hessian(lambda x: divergence(World(design, theta, theta[None]), x)))(theta).reshape(6, 6)
        np.testing.assert_allclose(gradient, 0, atol=1e-10)
        np.testing.assert_allclose(jax.jit(information)(theta, design, np.full(60, 1 / 60)), curvature, rtol=1e-9, atol=1e-12)
