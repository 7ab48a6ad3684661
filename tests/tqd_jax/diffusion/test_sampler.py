"""ODE solvers against closed forms: order of convergence, Gaussian data, guidance as a line."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tqd_jax.diffusion.path import Path
from tqd_jax.diffusion.sampler import guided_velocity, solve, time_grid

SPREAD = 0.3


def gaussian_velocity(x, t):
    """E[eps - x_0 | x_t = x] for x_0 ~ N(0, SPREAD^2), eps ~ N(0, 1): the exact model of Gaussian data."""
    variance = (1 - t) ** 2 * SPREAD**2 + t**2
    return (t - (1 - t) * SPREAD**2) / variance * x


def error(solver, steps):
    return abs(float(solve(gaussian_velocity, jnp.ones(()), time_grid(steps), solver)) - SPREAD)


@pytest.mark.parametrize(('solver', 'order'), [('euler', 1), ('heun', 2)])
def test_order_of_convergence(solver, order):
    measured = np.log2(error(solver, 32) / error(solver, 64))
    assert measured == pytest.approx(order, abs=0.25)


def test_noise_becomes_data():
    noise = jax.random.normal(jax.random.key(0), (20_000,))
    data = solve(gaussian_velocity, noise, time_grid(64), 'heun')
    assert float(data.std()) == pytest.approx(SPREAD, rel=0.02)


def test_the_grid_runs_from_noise_to_data_and_a_shift_lingers_in_noise():
    plain, shifted = np.asarray(time_grid(10)), np.asarray(time_grid(10, 3.0))
    assert plain[0] == shifted[0] == 1 and plain[-1] == shifted[-1] == 0
    assert (np.diff(plain) < 0).all() and (shifted[1:-1] > plain[1:-1]).all()


@pytest.mark.parametrize('guidance', [0.0, 1.0, 2.5])
def test_guidance_is_a_line_through_nothing_and_the_caption(guidance):
    model = lambda params, x, t, tokens: x + tokens[:, :1].astype(jnp.float32)
    tokens = jnp.array([[3], [5]])
    velocity = guided_velocity(model, Path(), {}, tokens, guidance)
    np.testing.assert_allclose(velocity(jnp.zeros((2, 1)), jnp.float32(0.5)), guidance * tokens.astype(jnp.float32))


def test_unknown_solvers_are_refused():
    with pytest.raises(ValueError, match="'rk4'"):
        solve(gaussian_velocity, jnp.ones(()), time_grid(2), 'rk4')
