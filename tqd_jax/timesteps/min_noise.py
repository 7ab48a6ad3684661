"""A least noise for clips of low visual quality, as in Ambient Diffusion Omni."""
import numpy as np
from jaxtyping import Float64

from tqd_jax.timesteps.law import Law, make_law


def min_noise(mq: Float64[np.ndarray, ' n'], vq: Float64[np.ndarray, ' n'], config) -> Law:
    """The Law [B] of the base, conditioned on t >= config.strength (1 - vq)."""
    return make_law(mq.size, t_min=config.strength * (1 - vq), base=config.base, shift=config.shift)
