"""Quality dropout: how often a clip takes part in training."""
import numpy as np
from jaxtyping import Float64

from tqd_jax.timesteps.quadrants import Scores, check_scores


def acceptance_probability(mq: Scores, vq: Scores) -> Float64[np.ndarray, '*n']:
    """max(mq, vq), the probability that a clip takes part in an epoch (quality dropout, arXiv 2603.25527).

    Raises ValueError where a score is outside [0, 1] or not finite.
    """
    return np.maximum(check_scores(mq), check_scores(vq))
