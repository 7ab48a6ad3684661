"""The base distribution for every clip, whatever its scores."""
import numpy as np
from jaxtyping import Float64

from tqd_jax.timesteps.law import Law, make_law


def uniform(mq: Float64[np.ndarray, ' n'], vq: Float64[np.ndarray, ' n'], *, base, shift) -> Law:
    """The Law [B] of base and shift: quality has no influence on t."""
    return make_law(mq.size, base=base, shift=shift)
