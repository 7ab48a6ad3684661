"""The motion of a tracked object: the nearest path of a ball that rolls straight on and bounces off the borders."""
import functools

import jax
import jax.numpy as jnp

FASTEST = 1.8  # frame widths a second along an axis
SPEEDS, PHASES = 61, 40  # of the grid on which the search for the nearest path begins
FINER = 9  # points a side of the finer grids around the best
ROUNDS = 3  # of finer grids


@functools.partial(jax.jit, static_argnames='fps')
def fit_paths(positions, weight, radius, fps):
    """(velocity [N, 2], paths [N, F, 2]) of the bouncing paths nearest to positions [N, F, 2] in frame widths, at fps frames a second.

    Along each axis a path is the triangular wave low + span - |(phase + v t) mod 2 span - span| between radius [N] and 1 - radius, as
    tqd_jax.clips.scenes.positions has it. Minimised is the mean distance, by weight [N, F] >= 0, over phase and 0 <= v <= 1.8 frame widths
    a second: a mean of distances, not of squares, so that frames in which the object is hidden have little say.
    """
    times = jnp.arange(positions.shape[1], dtype=jnp.float32) / fps
    weight = weight / jnp.maximum(weight.sum(-1, keepdims=True), 1e-6)
    axes = jax.vmap(lambda places, w, low: _axis(places, w, low, times), in_axes=(1, None, None), out_axes=(0, 1))
    return jax.lax.map(lambda row: axes(*row), (positions, weight, radius), batch_size=16)


def _axis(places, weight, low, times):
    """(velocity, path [F]) along one axis: the best of a grid over velocity and phase, and of ever finer ones around it."""
    span = 1 - 2 * low
    velocity, phase = jnp.linspace(0.0, FASTEST, SPEEDS), jnp.arange(PHASES, dtype=jnp.float32) * (2 * span / PHASES)
    steps = jnp.stack([velocity[1], 2 * span / PHASES])
    best = _best(places, weight, low, times, velocity, phase)
    around = jnp.linspace(-1.0, 1.0, FINER)
    for _ in range(ROUNDS):
        best = _best(places, weight, low, times, jnp.abs(best[0] + around * steps[0]), best[1] + around * steps[1])
        steps = steps * (2 / (FINER - 1))
    return best[0], _wave(best[1] + best[0] * times, low)


def _best(places, weight, low, times, velocity, phase):
    """The pair of velocity [V] and phase [P] whose path is nearest."""
    paths = _wave(phase[None, :, None] + velocity[:, None, None] * times[None, None], low)
    index = jnp.argmin(jnp.abs(paths - places[None, None]) @ weight)
    return jnp.stack([velocity[index // len(phase)], phase[index % len(phase)]])


def _wave(free, low):
    span = 1 - 2 * low
    return low + span - jnp.abs(jnp.mod(free, 2 * span) - span)
