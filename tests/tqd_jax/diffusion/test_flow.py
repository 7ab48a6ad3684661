"""Noising paths: targets against finite differences, and the velocity recovered from every prediction."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tqd_jax.diffusion.path import KINDS, PREDICTIONS, Path, loss_per_example, precondition
from tqd_jax.latents.pixels import PixelCodec

SHAPE = (5, 2, 3, 3, 1)
T = jnp.linspace(0.05, 0.95, 5, dtype=jnp.float32)


def pair():
    return jax.random.normal(jax.random.key(0), SHAPE), jax.random.normal(jax.random.key(1), SHAPE)


@pytest.mark.parametrize('kind', KINDS)
def test_ends_and_variance(kind):
    x0, eps = pair()
    path = Path(kind=kind)
    np.testing.assert_allclose(path.noised(x0, eps, jnp.zeros(5)), x0, atol=1e-6)
    np.testing.assert_allclose(path.noised(x0, eps, jnp.ones(5)), eps, atol=1e-6)
    if kind == 'vp':
        alpha, sigma, _, _ = path.coefficients(T)
        np.testing.assert_allclose(alpha**2 + sigma**2, 1, rtol=1e-6)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('prediction', PREDICTIONS)
def test_velocity_of_a_perfect_prediction_is_the_time_derivative(kind, prediction):
    x0, eps = pair()
    path = Path(kind=kind, prediction=prediction)
    x, step = path.noised(x0, eps, T), 1e-3
    derivative = (path.noised(x0, eps, T + step) - path.noised(x0, eps, T - step)) / (2 * step)
    np.testing.assert_allclose(path.velocity(path.target(x0, eps, T), x, T), derivative, atol=3e-3)


def test_rectified_flow_predicts_noise_minus_data():
    x0, eps = pair()
    np.testing.assert_array_equal(Path().target(x0, eps, T), eps - x0)


def test_the_loss_is_one_number_an_example():
    output = jnp.arange(10, dtype=jnp.bfloat16).reshape(2, 5)
    loss = loss_per_example(output, jnp.zeros((2, 5)))
    assert loss.dtype == jnp.float32
    np.testing.assert_allclose(loss, [np.mean(np.arange(5) ** 2), np.mean(np.arange(5, 10) ** 2)])


def test_unknown_paths_are_refused():
    with pytest.raises(ValueError, match="'cosine'"):
        Path(kind='cosine')


def test_pixels_survive_the_codec():
    frames = jnp.arange(256, dtype=jnp.uint8).reshape(1, 1, 16, 16, 1).repeat(3, -1)
    codec = PixelCodec()
    latents = codec.encode({}, frames)
    assert latents.min() == -1 and latents.max() == 1 and codec.latent_shape(1, 16, 16) == latents.shape[1:]
    np.testing.assert_array_equal(codec.decode({}, latents), frames)


@pytest.mark.parametrize('t', [0.02, 0.5, 0.97])
@pytest.mark.parametrize('prediction', PREDICTIONS)
@pytest.mark.parametrize('kind', KINDS)
def test_a_preconditioned_network_has_only_the_unpredictable_left_to_say(kind, prediction, t):
    """On n samples of data with that mean and deviation, not Gaussian ones: moments within 5 standard errors."""
    n, mean, std = 100_000, -0.4, 0.3
    path, rng = Path(kind=kind, prediction=prediction), np.random.default_rng(0)
    x0 = jnp.asarray(mean + std * rng.choice([-1.0, 1.0], (n, 1, 1, 1, 1)), jnp.float32)
    eps, times = jnp.asarray(rng.standard_normal(x0.shape), jnp.float32), jnp.full(n, t)
    seen = []
    network = lambda params, frozen, x, t, text: (seen.append(x), jnp.full_like(x, params))[1]
    model, x = precondition(network, path, mean, std), path.noised(x0, eps, times)
    guess, unit = model(0.0, {}, x, times, None), model(1.0, {}, x, times, None) - model(0.0, {}, x, times, None)
    rest = np.ravel((path.target(x0, eps, times) - guess) / unit)
    for values in (np.ravel(seen[0]), rest):
        assert abs(values.mean()) < 5 / n**0.5 and abs(values.std() - 1) < 5 / n**0.5
    assert abs(np.mean(rest * np.ravel(seen[0]))) < 5 / n**0.5


def test_a_preconditioned_network_needs_a_spread():
    with pytest.raises(ValueError, match='positive, got 0'):
        precondition(None, Path(), 0.0, 0.0)
