"""A least noise for clips of low visual quality, as in Ambient Diffusion Omni."""
import numpy as np
from jaxtyping import Float64

from tqd_jax.timesteps.law import Law, make_law


def min_noise(mq: Float64[np.ndarray, ' n'], vq: Float64[np.ndarray, ' n'], *, base, shift, strength) -> Law:
    """The Law [B] of the base, conditioned on t >= strength (1 - vq)."""
    return make_law(mq.size, t_min=strength * (1 - vq), base=base, shift=shift)
