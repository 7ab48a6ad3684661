"""The noise levels that a sampler visits: grids of sigma, the time that a model reads there, and which expert works where."""
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32

GRIDS = ('linear', 'original', 'diffusers')
_ENDS = {'linear': (1.0, 0.0), 'original': (0.999, 0.0), 'diffusers': (1.0, 0.001)}  # of equal steps, whose last knot becomes 0
_GAP = 1e-6  # diffusers begins this far from sigma = 1, where log(1 - sigma) has no value


def time_grid(steps: int, shift: float = 1.0) -> Float32[Array, ' {steps}+1']:
    """t_0 = 1 > ... > t_steps = 0, float32 [steps + 1]: equal steps, then the flow shift s t / (1 + (s - 1) t)."""
    return _shifted(jnp.linspace(1.0, 0.0, steps + 1, dtype=jnp.float32), shift)


def sigma_grid(steps: int, shift: float = 1.0, kind: str = 'linear') -> Float32[Array, ' {steps}+1']:
    """sigma_0 > ... > sigma_steps = 0, float32 [steps + 1], each after the flow shift s sigma / (1 + (s - 1) sigma).

    kind: 'linear' (time_grid), 'original' (Wan's own sampler: N equal steps from 0.999 to 0) or 'diffusers' (its
    UniPCMultistepScheduler with flow sigmas: N equal steps from 1 to 0.001, of which the last is not visited, and the first sigma
    1e-6 lower). Both are rounded from float64. Raises ValueError on another kind, or without a step.
    """
    if kind not in GRIDS or steps < 1:
        raise ValueError(f'a grid has 1 step or more and is one of {GRIDS}, got {steps} of {kind!r}')
    return time_grid(steps, shift) if kind == 'linear' else jnp.asarray(_exact(steps, shift, kind), jnp.float32)


def integer_times(steps: int, shift: float = 1.0, kind: str = 'linear') -> Float32[Array, ' {steps}+1']:
    """floor(1000 sigma) / 1000 at every sigma of a grid, float32 [steps + 1]: the t that Wan's inference gives to the model.

    It truncates 1000 sigma in float64, before sigma is rounded to float32, and so does this.
    """
    return jnp.asarray(np.floor(1000 * _exact(steps, shift, kind)) / 1000, jnp.float32)


def segments(grid: Float[np.ndarray | Array, ' knots'], boundary: float) -> tuple:
    """((start, stop, 'high'), (start, stop, 'low')): the steps of each of two experts; step i goes from grid[i] to grid[i + 1].

    The expert of high noise takes the steps that begin at grid[i] >= boundary; one of the two may have none. grid: not traced.
    """
    high = int(np.sum(np.asarray(grid)[:-1] >= np.float32(boundary)))
    return (0, high, 'high'), (high, len(grid) - 1, 'low')


def _exact(steps, shift, kind):
    sigma = _shifted(np.linspace(*_ENDS[kind], steps + 1)[:-1], shift)
    if kind == 'diffusers':
        sigma[0] = min(sigma[0], 1 - _GAP)
    return np.append(sigma, 0.0)


def _shifted(sigma, shift):
    return shift * sigma / (1 + (shift - 1) * sigma)
