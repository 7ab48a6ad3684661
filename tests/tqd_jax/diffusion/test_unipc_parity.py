"""UniPC and its grid against diffusers' UniPCMultistepScheduler: the same times, and the same latents in every step."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tqd_jax.diffusion.grids import integer_times, sigma_grid
from tqd_jax.diffusion.solvers import advance, start_solver

# the reference's own imports use what its dependencies have deprecated; nothing of ours is silenced
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings('ignore')]

CASES = [(steps, shift) for steps in (1, 2, 5, 20, 50) for shift in (3.0, 5.0, 12.0)]
NOISE = np.random.default_rng(0).standard_normal((2, 3, 4))
MIX = np.random.default_rng(1).standard_normal((4, 4)) / 2


def scheduler_of(steps, shift):
    """diffusers' scheduler as Wan's pipeline has it."""
    from diffusers import UniPCMultistepScheduler

    scheduler = UniPCMultistepScheduler(prediction_type='flow_prediction', use_flow_sigmas=True, num_train_timesteps=1000, flow_shift=shift)
    scheduler.set_timesteps(steps)
    return scheduler


def velocity(x, t, tanh, mix):
    """A model of one's own: nonlinear, and unlike at every t."""
    return 2 * tanh(x @ mix + 3 * t) - x * (1 - t)


def reference(scheduler, dtype):
    """x after every step [N, ...], sigmas in the dtype too."""
    torch = pytest.importorskip('torch')
    scheduler.sigmas = scheduler.sigmas.to(dtype)
    x, mix, found = torch.from_numpy(NOISE).to(dtype), torch.from_numpy(MIX).to(dtype), []
    for i, t in enumerate(scheduler.timesteps):
        output = velocity(x, scheduler.sigmas[i], torch.tanh, mix)
        x = scheduler.step(output, t, x, return_dict=False)[0]
        found.append(x.numpy())
    return np.stack(found)


def ours(grid):
    """The same of ours, step by step."""
    mix, state, found = jnp.asarray(MIX, grid.dtype), start_solver(jnp.asarray(NOISE, grid.dtype), 'unipc'), []
    step = jax.jit(lambda state, i: advance(lambda x, t: velocity(x, t, jnp.tanh, mix), state, grid, i, i + 1, 'unipc'))
    for i in range(len(grid) - 1):
        state = step(state, i)
        found.append(np.asarray(state.x))
    return np.stack(found)


@pytest.mark.parametrize(('steps', 'shift'), CASES)
def test_grid_and_times_are_those_of_diffusers(steps, shift):
    scheduler = scheduler_of(steps, shift)
    np.testing.assert_array_equal(sigma_grid(steps, shift, 'diffusers'), scheduler.sigmas.numpy())
    times = 1000 * np.asarray(integer_times(steps, shift, 'diffusers'), np.float64)[:-1]
    np.testing.assert_array_equal(np.round(times).astype(int), scheduler.timesteps.numpy())


@pytest.mark.parametrize(('steps', 'shift'), CASES)
def test_a_trajectory_is_that_of_diffusers_in_every_step(steps, shift):
    """In float64 on both sides, so that only the method can make a difference."""
    torch = pytest.importorskip('torch')
    expected = reference(scheduler_of(steps, shift), torch.float64)
    with jax.enable_x64(True):
        found = ours(jnp.asarray(sigma_grid(steps, shift, 'diffusers'), jnp.float64))
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(('steps', 'shift'), [(50, 5.0), (40, 12.0)])
def test_a_trajectory_in_float32_is_that_of_diffusers_to_its_rounding(steps, shift):
    torch = pytest.importorskip('torch')
    expected = reference(scheduler_of(steps, shift), torch.float32)
    np.testing.assert_allclose(ours(sigma_grid(steps, shift, 'diffusers')), expected, rtol=1e-4, atol=1e-4)
