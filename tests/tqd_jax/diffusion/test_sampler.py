"""ODE solvers against closed forms: order of convergence, Gaussian data, guidance as a line."""
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tqd_jax.diffusion.objective import Objective, init_frozen
from tqd_jax.diffusion.path import Path
from tqd_jax.diffusion.sampler import guided_velocity, sample, solve, time_grid
from tqd_jax.latents.pixels import PixelCodec
from tqd_jax.text.words import HashedWords

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
    velocity = lambda x, t, text: x + t[:, None] * text
    text, empty = jnp.array([[3.0], [5.0]]), jnp.array([[7.0], [7.0]])
    found = guided_velocity(velocity, text, empty, guidance)(jnp.zeros((2, 1)), jnp.float32(0.5))
    np.testing.assert_allclose(found, (7 + guidance * (text - 7)) / 2)


@dataclasses.dataclass(frozen=True)
class Words(HashedWords):
    """Hashed words with another empty caption than zeros."""

    def empty(self):
        return np.array([4, 4], np.int32)


def test_samples_lead_away_from_the_text_encoders_empty_caption():
    """Euler's one step from noise to data, of a model that predicts the flow sum(text): x - (s_empty + 3 (s_text - s_empty))."""
    model = lambda trained, frozen, x, t, text: 0 * x + text.sum(1).astype(jnp.float32).reshape(-1, 1, 1, 1, 1) / 1000
    objective = Objective(model=model, codec=Floats(), text=Words(length=2, vocab=9), path=Path(), seed=0)
    keys = jax.random.split(jax.random.key(0), 2)
    draw = lambda text: np.asarray(sample(objective, {}, init_frozen(objective, {}), keys, np.array(text, np.int32), (1, 1, 1, 3), steps=1,
                                          solver='euler', guidance=3.0))
    noise = jax.vmap(lambda key: jax.random.normal(key, (1, 1, 1, 3)))(keys)
    flow = np.array([8 + 3 * (5 - 8), 8 + 3 * (9 - 8)]) / 1000
    np.testing.assert_allclose(draw([[2, 3], [4, 5]]), noise - flow.reshape(2, 1, 1, 1, 1), atol=1e-6)


class Floats(PixelCodec):
    """Shows the latents as they are."""

    def decode(self, params, latents):
        return latents


def test_unknown_solvers_are_refused():
    with pytest.raises(ValueError, match="'rk4'"):
        solve(gaussian_velocity, jnp.ones(()), time_grid(2), 'rk4')
