"""A logit offset for clips that are good at one thing only, as in SANA-Video 2.0."""
import numpy as np
from jaxtyping import Float64

from tqd_jax.timesteps.law import Law, make_law


def offset(mq: Float64[np.ndarray, ' n'], vq: Float64[np.ndarray, ' n'], *, base, shift, offset) -> Law:
    """The Law [B] with logit(t) moved by s `offset`: s = 1 for motion only, -1 for visual only, 0 for golden and poor clips."""
    sign = np.where(mq >= 0.5, 1.0, 0.0) - np.where(vq >= 0.5, 1.0, 0.0)
    return make_law(mq.size, base=base, shift=shift * np.exp(offset * sign))
