"""Of many clips: the density of t that they have together, and the mass of each one's law in a range of t."""
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float64, Int, Num

from tqd_jax.timesteps.between import mass_between
from tqd_jax.timesteps.law import log_prob

CHUNK = 2000  # clips whose densities are in memory
LEAST_MASS = 1e-6


def mean_density(laws_of: Callable, clips: Int[np.ndarray, ' n'], weights: Num[np.ndarray, ' n'],
                 t: Float[np.ndarray, ' g'], t_range: tuple = (0.0, 1.0)) -> Float64[np.ndarray, ' g']:
    """sum_i w_i p_i(t) / sum_i w_i at every t [G], in memory that does not grow with N.

    clips: [N], rows of a library; laws_of(clips) is the Law of their t. weights: [N] >= 0. t_range: p_i is the density given that t lies
    in it; a clip whose law has no mass there adds nothing.
    """
    total = np.zeros(len(t))
    for chunk, laws in _chunks(laws_of, clips):
        weight = np.zeros(CHUNK, np.float32)
        weight[:chunk.stop - chunk.start] = weights[chunk]
        total += np.asarray(_weighted_density(laws, weight, np.asarray(t, np.float32), t_range))
    return total / np.sum(weights)


def masses(laws_of: Callable, clips: Int[np.ndarray, ' n'], t_range: tuple) -> Float64[np.ndarray, ' n']:
    """The mass of each law in t_range, float64 [N], to about 1e-5; laws_of and clips as mean_density takes them."""
    found = np.empty(len(clips))
    for chunk, laws in _chunks(laws_of, clips):
        found[chunk] = _masses(laws, *t_range)[:chunk.stop - chunk.start]
    return found


def _chunks(laws_of, clips):
    """Pairs of a slice of the clips and its laws, filled up to CHUNK of them: one program serves all."""
    for start in range(0, len(clips), CHUNK):
        chunk = slice(start, min(start + CHUNK, len(clips)))
        yield chunk, laws_of(np.resize(clips[chunk], CHUNK))


_masses = jax.jit(mass_between)


@functools.partial(jax.jit, static_argnums=3)
def _weighted_density(laws, weights, grid, t_range):
    if t_range != (0.0, 1.0):
        mass = mass_between(laws, *t_range)
        weights = jnp.where(mass > LEAST_MASS, weights / jnp.maximum(mass, LEAST_MASS), 0)
    density = jax.lax.map(lambda t: jnp.exp(log_prob(laws, jnp.full(weights.size, t))) @ weights, grid)
    return jnp.where((grid >= t_range[0]) & (grid <= t_range[1]), density, 0)
