"""The density of t that many clips have together."""
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float64, Int, Num

from tqd_jax.timesteps.law import log_prob

CHUNK = 2000  # clips whose densities are in memory


def mean_density(laws_of: Callable, clips: Int[np.ndarray, ' n'], weights: Num[np.ndarray, ' n'],
                 t: Float[np.ndarray, ' g']) -> Float64[np.ndarray, ' g']:
    """sum_i w_i p_i(t) / sum_i w_i at every t [G], in memory that does not grow with N.

    clips: [N], rows of a library; laws_of(clips) is the Law of their t. weights: [N] >= 0.
    """
    total = np.zeros(len(t))
    for start in range(0, len(clips), CHUNK):
        chunk, weight = clips[start:start + CHUNK], np.zeros(CHUNK, np.float32)  # chunks of one size: one program serves all
        weight[:len(chunk)] = weights[start:start + CHUNK]
        total += np.asarray(_weighted_density(laws_of(np.resize(chunk, CHUNK)), weight, np.asarray(t, np.float32)))
    return total / np.sum(weights)


@jax.jit
def _weighted_density(laws, weights, grid):
    return jax.lax.map(lambda t: jnp.exp(log_prob(laws, jnp.full(weights.size, t))) @ weights, grid)
