"""Debiasing against Monte Carlo: Gaussian means, whose estimates and Fisher information are known exactly."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transfer_jax.debias import debias_gram, gram_uncertainty, project_psd, split_half_noise
from transfer_jax.fisher import fisher_gram

N0, SIZES = 40, np.array([100, 200, 400])


def estimates(rng, d, deltas):
    """G^ [K, K] of estimated means in d dimensions, unit variance: J is the identity."""
    ours = rng.standard_normal(d) / N0**0.5
    theirs = deltas + rng.standard_normal(deltas.shape) / SIZES[:, None] ** 0.5
    return (theirs - ours) @ (theirs - ours).T / d


def test_on_average_the_noise_is_what_is_subtracted():
    rng, d, runs = np.random.default_rng(0), 2000, 200
    deltas = rng.standard_normal((3, d)) * np.array([[0.3], [0.5], [1.0]])
    truth = deltas @ deltas.T / d
    found = np.stack([np.asarray(debias_gram(estimates(rng, d, deltas), N0, SIZES, d)) for _ in range(runs)])
    spread = found.std(0) / runs**0.5
    shrunk = (3 + 1) / d * (1 / N0 + np.diag(1 / SIZES))  # what f leaves in
    assert (np.abs(found.mean(0) - truth - shrunk) < 5 * spread + 1e-5).all()


def test_few_parameters_are_left_as_they_are_and_identical_sources_come_out_near_zero():
    rng = np.random.default_rng(1)
    raw = estimates(rng, 4, np.zeros((3, 4)))
    np.testing.assert_allclose(debias_gram(raw, N0, SIZES, 4), raw, atol=1e-6)
    raw = estimates(rng, 5000, np.zeros((3, 5000)))
    assert np.trace(debias_gram(raw, N0, SIZES, 5000)) < 0.05 * np.trace(raw)


def test_given_noise_takes_the_place_of_the_sizes_and_batches_broadcast():
    rng = np.random.default_rng(2)
    raw = np.stack([estimates(rng, 50, rng.standard_normal((3, 50))) for _ in range(4)])
    one = debias_gram(raw, N0, SIZES, 50)
    np.testing.assert_allclose(debias_gram(raw, 1, np.ones(3), 50, noise=(1 / N0, 1 / SIZES)), one, rtol=1e-5)
    np.testing.assert_allclose(one[2], debias_gram(raw[2], N0, SIZES, 50), rtol=1e-4, atol=1e-6)


def test_the_projection_is_the_nearest_and_leaves_the_definite_alone():
    rng = np.random.default_rng(3)
    a = rng.standard_normal((5, 4, 4)).astype(np.float32)
    definite = a @ a.swapaxes(1, 2)
    np.testing.assert_allclose(project_psd(definite), definite, rtol=1e-4, atol=1e-4)
    symmetric = a + a.swapaxes(1, 2)
    rest = np.asarray(project_psd(symmetric)) - symmetric  # the other part of a Moreau decomposition: PSD and orthogonal
    assert np.linalg.eigvalsh(rest).min() > -1e-4
    assert np.abs(np.einsum('bkl,bkl->b', rest, project_psd(symmetric))).max() < 1e-3


def gaussian(mean, x):
    """Outputs whose unit-variance Fisher information is the identity."""
    return mean + 0 * x


def test_split_halves_know_the_noise_of_the_whole():
    rng, d, n = np.random.default_rng(4), 4000, 64
    a, b = (rng.standard_normal(d) / (n / 2) ** 0.5 for _ in range(2))
    noise = split_half_noise(gaussian, jnp.zeros(d), jnp.asarray(a - b, jnp.float32), jnp.zeros((5, d)), kind='gauss_newton')
    np.testing.assert_allclose(noise, 1 / n, rtol=5 * (2 / d) ** 0.5)  # a chi-square over d: five standard deviations


def linear(params, x):
    return params @ x


def test_the_jackknife_tells_the_spread_over_examples():
    rng, runs, n = np.random.default_rng(5), 150, 60
    params, deltas = jnp.zeros((2, 3)), jnp.asarray(rng.standard_normal((2, 2, 3)), jnp.float32)
    batches = rng.standard_normal((runs, n, 3)).astype(np.float32)
    grams = np.asarray(jax.lax.map(lambda batch: fisher_gram(linear, params, deltas, batch), batches))
    errors = np.asarray(jax.lax.map(lambda batch: gram_uncertainty(linear, params, deltas, batch, folds=20)[0], batches[:40]))
    np.testing.assert_allclose(np.sqrt((errors**2).mean(0)), grams.std(0), rtol=0.3)
    error, replicates = gram_uncertainty(linear, params, deltas, batches[0], folds=60)
    leave_one = fisher_gram(linear, params, deltas, batches[0][1:])
    np.testing.assert_allclose(replicates[0], leave_one, rtol=1e-4, atol=1e-6)
    assert error.shape == (2, 2)


def test_more_folds_than_examples_are_refused():
    with pytest.raises(ValueError, match='5 examples cannot be cut into 20 folds'):
        gram_uncertainty(linear, jnp.zeros((2, 3)), jnp.zeros((1, 2, 3)), jnp.zeros((5, 3)))
