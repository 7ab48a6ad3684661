"""The best linear guess of patches, against the conditional mean of Gaussian patches, which it is."""
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.studies.training.precondition import patch_statistics, precondition_patches
from tqd_jax.diffusion.path import Path, precondition
from tqd_jax.models.wan.model import patchify, unpatchify

PATCH, GRID = (2, 2, 2), (2, 3, 1)
RNG = np.random.default_rng(0)
MIX = (RNG.standard_normal((24, 24)) * 0.8 ** np.arange(24)).astype(np.float32)
MEAN = RNG.standard_normal(24).astype(np.float32)


def clips(count):
    """Latents whose patches are independent draws of N(MEAN, MIX MIX')."""
    tokens = RNG.standard_normal((count, 6, 24)).astype(np.float32) @ MIX.T + MEAN
    return np.asarray(unpatchify(jnp.asarray(tokens), GRID, PATCH))


def test_statistics_are_those_of_the_patches():
    mean, basis, std = patch_statistics(clips(4000), PATCH)
    np.testing.assert_allclose(basis.T @ basis, np.eye(24), atol=1e-5)
    np.testing.assert_allclose(mean, MEAN, atol=0.15)
    assert (np.diff(std) <= 0).all()
    covariance = MIX @ MIX.T
    np.testing.assert_allclose(basis * std**2 @ basis.T, covariance, atol=0.05 * np.trace(covariance))
    flat = patch_statistics(np.ones((5, 4, 6, 2, 3), np.float32) * RNG.standard_normal((5, 1, 1, 1, 1)).astype(np.float32), PATCH)[2]
    assert flat.min() == pytest.approx(1e-3 * flat.max(), rel=1e-3)


@pytest.mark.parametrize(('kind', 'prediction'), [('rectified', 'flow'), ('vp', 'v')])
def test_a_silent_network_gives_the_conditional_mean(kind, prediction):
    """For Gaussian patches E[a x0 + b eps | x_t] by the textbook, with the full covariance instead of its axes."""
    path, x, t = Path(kind=kind, prediction=prediction), clips(3), jnp.asarray([0.1, 0.5, 0.9])
    values, vectors = np.linalg.eigh(MIX.astype(np.float64) @ MIX.T)
    std = np.sqrt(np.maximum(values, 0)).astype(np.float32)
    model = precondition_patches(lambda params, frozen, x, t, text: 0 * x, path, PATCH, MEAN, vectors.astype(np.float32), std)
    found = np.asarray(patchify(model(None, {}, x, t, None), PATCH))
    covariance = MIX.astype(np.float64) @ MIX.T
    for row in range(3):
        alpha, sigma, _, _ = (float(value) for value in path.coefficients(t[row]))
        a, b = (float(value) for value in path.target_coefficients(t[row]))
        total = alpha**2 * covariance + sigma**2 * np.eye(24)
        seen = np.asarray(patchify(x[row:row + 1], PATCH))[0] - alpha * MEAN
        truth = a * MEAN + np.linalg.solve(total, seen.T).T @ (a * alpha * covariance + b * sigma * np.eye(24))
        np.testing.assert_allclose(found[row], truth, atol=2e-3)


def test_one_deviation_for_all_axes_is_flows_precondition():
    network = lambda params, frozen, x, t, text: jnp.tanh(x) * t.reshape(-1, 1, 1, 1, 1)
    basis = np.linalg.qr(RNG.standard_normal((24, 24)))[0].astype(np.float32)
    ours = precondition_patches(network, Path(), PATCH, np.full(24, 0.3, np.float32), basis, np.full(24, 0.7, np.float32))
    x, t = clips(2), jnp.asarray([0.2, 0.8])
    np.testing.assert_allclose(ours(None, {}, x, t, None), precondition(network, Path(), 0.3, 0.7)(None, {}, x, t, None), atol=1e-4)
