"""A logit offset for clips that are good at one thing only, as in SANA-Video 2.0."""
import numpy as np
from jaxtyping import Float64

from tqd_jax.timesteps.law import Law, make_law


def offset(mq: Float64[np.ndarray, ' n'], vq: Float64[np.ndarray, ' n'], *, base, shift, offset) -> Law:
    """The Law [B] with logit(t) moved by s `offset`: s = 1 for motion only, -1 for visual only, 0 for golden and poor clips."""
    return thresholds(mq, vq, base=base, shift=shift, offset=offset, motion_threshold=0.5, visual_threshold=0.5)


def thresholds(mq: Float64[np.ndarray, ' n'], vq: Float64[np.ndarray, ' n'], *, base, shift, offset, motion_threshold,
               visual_threshold) -> Law:
    """The Law [B] of `offset`, where a clip is good at motion from mq >= motion_threshold on, and visually from vq >= visual_threshold on.

    With normalised ranks a threshold is a quantile: 0.9 are the best 10 %. SANA-Video 2.0 has thresholds of its raw scores (UniMatch flow
    above 30 a second, DOVER above .91), so that few clips are good at either.
    """
    sign = np.where(mq >= motion_threshold, 1.0, 0.0) - np.where(vq >= visual_threshold, 1.0, 0.0)
    return make_law(mq.size, base=base, shift=shift * np.exp(offset * sign))
