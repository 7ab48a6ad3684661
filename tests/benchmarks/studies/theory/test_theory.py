"""The theory's tools against independent truth: closed forms of the Gaussian mean, scipy, exact enumeration, automatic differentiation."""
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, stats

from benchmarks.studies.theory.debiased import subsample
from benchmarks.studies.theory.estimates import Draws
from benchmarks.studies.theory.refits import errors, expected_linear, fit
from benchmarks.studies.theory.worlds import World, divergence, information, make_world, probabilities, statistics


@pytest.fixture(autouse=True)
def doubles():
    with jax.enable_x64(True):
        yield


def small_world():
    """Three rows, one parameter, a target and one source: every table of counts can be listed."""
    return World(jnp.array([[1.0], [-0.5], [2.0]]), jnp.array([[[0.3]], [[0.8]]]), jnp.zeros((1, 1)))


def test_a_world_has_the_distances_of_its_mixing_and_its_information_is_the_curvature_of_kl():
    world = make_world(jax.random.key(0), 'softmax', 6, 60, np.diag([0.5, 2.0]) ** 0.5)
    np.testing.assert_allclose(np.diag(world.gram) * 60, [0.5, 2.0])
    curvature = jax.jit(jax.hessian(lambda x: divergence(world, x)))(world.thetas[0]).reshape(6, 6)
    delta = (world.thetas[1:] - world.thetas[:1]).reshape(2, 6)
    np.testing.assert_allclose(information(world.thetas[0], world.design, jnp.full(256, 1 / 256)), curvature, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(delta @ curvature @ delta.T / 6, world.gram, rtol=1e-9)


def test_the_fit_is_that_of_scipy():
    keys = jax.random.split(jax.random.key(0), 2)
    design, counts = jax.random.normal(keys[0], (60, 2)), jax.random.uniform(keys[1], (60, 3))
    start = jnp.zeros((2, 2))
    factor = jnp.linalg.cholesky(information(start, design, jnp.full(60, 1 / 60)))
    loss = jax.jit(lambda x: -jnp.sum(counts * jnp.log(probabilities(x.reshape(2, 2), design))))
    truth = optimize.minimize(loss, np.zeros(4), jac=jax.jit(jax.grad(loss)), method='BFGS', options={'gtol': 1e-8}).x
    np.testing.assert_allclose(fit(start, counts, design, factor).reshape(-1), truth, atol=1e-7)


def test_classes_that_can_be_separated_have_no_fit():
    design = jnp.array([[1.0], [2.0], [-1.0]])
    counts = jnp.array([[5.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    assert np.isnan(fit(jnp.zeros((1, 1)), counts, design, jnp.eye(1))).all()


def test_the_expected_linearised_kl_is_that_of_all_possible_samples():
    """Two target samples and one of the source: 6^3 outcomes, listed with their probabilities."""
    world, weights, sizes = small_world(), np.array([[1.0, 0.0], [1.0, 0.7]]), np.array([2.0, 1.0])
    laws = [np.asarray(probabilities(theta, world.design)) / 3 for theta in world.thetas]
    tables, chances = [], []
    for outcome in itertools.product(np.ndindex(3, 2), repeat=3):
        counts = np.zeros((2, 3, 2))
        for domain, cell in zip((0, 0, 1), outcome, strict=True):
            counts[domain][cell] += 1
        tables.append(counts)
        chances.append(np.prod([laws[domain][cell] for domain, cell in zip((0, 0, 1), outcome, strict=True)]))
    runs = len(tables)
    _, linear = errors(world, np.stack(tables), np.broadcast_to(sizes, (runs, 2)), np.broadcast_to(weights, (runs, 2, 2)))
    np.testing.assert_allclose(np.array(chances) @ np.asarray(linear), expected_linear(world, sizes, jnp.asarray(weights)), rtol=1e-10)


def test_a_gaussian_mean_obeys_its_closed_form_and_its_law():
    """2 W KL of the target's own mean is chi-squared with d degrees of freedom; the expected linearised KL is (d/N + bias^2) / 2."""
    world = make_world(jax.random.key(1), 'mean', 8, 40, np.array([[1.0]]))
    sizes, weights, runs = np.array([40.0, 60.0]), np.array([[1.0, 0.0], [1.0, 0.5]]), 4000
    samples = statistics(np.random.default_rng(0), world, sizes, runs)
    kl, _ = errors(world, samples, np.broadcast_to(sizes, (runs, 2)), np.broadcast_to(weights, (runs, 2, 2)))
    assert stats.kstest(2 * 40 * np.asarray(kl)[:, 0], stats.chi2(8).cdf).pvalue > 0.01
    exact = np.array([8 / 40, (8 * (40 + 15) + 30**2 * 8 / 40) / 70**2]) / 2
    np.testing.assert_allclose(expected_linear(world, sizes, jnp.asarray(weights)), exact)
    np.testing.assert_allclose(np.asarray(kl).mean(0), exact, rtol=0.04)


def test_estimates_leave_out_what_has_no_fit_and_lose_the_shared_noise():
    rng = np.random.default_rng(0)
    linear = rng.exponential(size=(500, 2))
    draws = Draws(linear + 0.1, linear, np.ones(2))
    np.testing.assert_allclose(draws.mean(0), (1.1, 0), atol=1e-12)
    np.testing.assert_allclose(draws.difference(0, 1), (0, 0), atol=1e-12)
    broken = Draws(np.array([[1.0], [np.nan], [3.0]]), np.zeros((3, 1)), np.ones(1))
    assert broken.failed(0) == 1 and broken.mean(0) == (2.0, 1.0)


def test_thinning_keeps_the_law_of_a_smaller_sample():
    """Of a Gaussian sum its mean and variance; of counts the number of samples, within what was there."""
    rng, runs = np.random.default_rng(0), 20000
    sizes, n = np.full((runs, 1), 50.0), np.full((runs, 1), 20.0)
    sums = 50 * 0.3 + 50**0.5 * rng.standard_normal((runs, 1, 1, 1))
    part = subsample(rng, sums, sizes, n, regression=False)
    assert abs(part.mean() - 6) < 0.15 and abs(part.var() - 20) < 1
    counts = rng.multinomial(50, [0.2, 0.3, 0.5], (40, 1)).reshape(40, 1, 3, 1).astype(float)
    part = subsample(rng, counts, sizes[:40], n[:40], regression=True)
    assert (part.sum((2, 3)) == 20).all() and (part <= counts).all()


def test_what_the_prediction_lacks_where_biases_cancel_is_the_bias_of_the_noiseless_fit():
    """Two sources, opposed: u' G u = 0 at equal weights, but their mean law is no logistic law of theta_0."""
    world = make_world(jax.random.key(3), 'logistic', 4, 40, np.array([[2.0]]))
    opposed = World(world.design, jnp.stack([world.thetas[0], world.thetas[1], 2 * world.thetas[0] - world.thetas[1]]), jnp.zeros((2, 2)))
    sizes, weights, runs = np.array([40.0, 4000.0, 4000.0]), np.ones((1, 1, 3)), 300
    means = sizes[:, None, None] * np.stack([np.asarray(probabilities(theta, world.design)) for theta in opposed.thetas]) / 256
    noiseless = float(errors(opposed, means[None], sizes[None], weights)[0][0, 0])
    samples = statistics(np.random.default_rng(0), opposed, sizes, runs)
    kl = np.asarray(errors(opposed, samples, np.broadcast_to(sizes, (runs, 3)), np.broadcast_to(weights, (runs, 1, 3)))[0])[:, 0]
    first_order = 4 / sizes.sum() / 2
    assert noiseless > 2 * first_order
    assert abs(kl.mean() - noiseless - first_order) < 0.3 * first_order + 3 * kl.std() / runs**0.5
