"""From noise to clips: Euler and Heun solvers of the probability-flow ODE, with classifier-free guidance."""
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Float32

SOLVERS = ('euler', 'heun')


def time_grid(steps: int, shift: float = 1.0) -> Float32[Array, ' {steps}+1']:
    """t_0 = 1 > ... > t_steps = 0, float32 [steps + 1]: equal steps, then the flow shift s t / (1 + (s - 1) t)."""
    t = jnp.linspace(1.0, 0.0, steps + 1, dtype=jnp.float32)
    return shift * t / (1 + (shift - 1) * t)


def solve(velocity: Callable, x: Float[Array, '*shape'], grid: Float[Array, ' knots'], solver: str = 'heun') -> Float[Array, '*shape']:
    """x at grid[-1] from x at grid[0] along dx/dt = velocity(x, t), t a scalar.

    'euler': first order. 'heun': second order, the mean of the velocities at both ends of each step. Raises ValueError on any other.
    """
    if solver not in SOLVERS:
        raise ValueError(f'a solver is one of {SOLVERS}, got {solver!r}')

    def step(x, ends):
        t, s = ends
        slope = velocity(x, t)
        if solver == 'heun':
            slope = (slope + velocity(x + (s - t) * slope, s)) / 2
        return x + (s - t) * slope, None

    return jax.lax.scan(step, x, (grid[:-1], grid[1:]))[0]


def guided_velocity(velocity, text, empty, guidance):
    """The function (x, t) -> v(empty) + guidance (v(text) - v(empty)), where v(text) is velocity(x, t [B], text).

    text, empty: encoded captions [B, ...], and the encoded empty caption as often. Guidance 1 runs the model once, otherwise on both in
    one batch.
    """

    def guided(x, t):
        times = jnp.full(x.shape[:1], t)
        if guidance == 1:
            return velocity(x, times, text)
        xx, tt, both = (jnp.concatenate(pair) for pair in ((x, x), (times, times), (text, empty)))
        towards, away = jnp.split(velocity(xx, tt, both), 2)
        return away + guidance * (towards - away)

    return guided


def sample(objective, trained, frozen, keys, text, shape, *, steps, solver, guidance, shift=1.0):
    """Frames uint8 [B, F, H, W, 3] for prepared captions [B, ...] and one key an example; shape is the latent's (f, h, w, C)."""
    noise = jax.vmap(lambda key: jax.random.normal(key, shape))(keys)

    def velocity(x, t, text):
        return objective.path.velocity(objective.model(trained, frozen['model'], x, t, text), x, t)

    empty = jnp.broadcast_to(objective.text.empty(), text.shape)
    text, empty = (objective.text.encode(frozen['text'], prepared) for prepared in (text, empty))
    latents = solve(guided_velocity(velocity, text, empty, guidance), noise, time_grid(steps, shift), solver)
    return objective.codec.decode(frozen['codec'], latents)
