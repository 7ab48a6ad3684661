"""The four quadrants of quality: good or poor motion, times good or poor visual quality."""
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int32, Num

Scores = Num[np.ndarray, '*n'] | Sequence[float] | float
QUADRANTS = ('poor', 'visual', 'motion', 'golden')  # the index is 2 [mq >= 1/2] + [vq >= 1/2]
LABELS = ('poor', 'visual only', 'motion only', 'golden')  # the same in pages and in the names of groups


def quadrant(mq: Scores, vq: Scores) -> Int32[np.ndarray, '*n'] | np.int32:
    """Index into QUADRANTS, int32 with the shape of mq and vq: 0 poor, 1 visual only, 2 motion only, 3 golden; the thresholds are 1/2."""
    return 2 * (np.asarray(mq) >= 0.5).astype(np.int32) + (np.asarray(vq) >= 0.5).astype(np.int32)


def check_scores(scores: Scores) -> Float64[np.ndarray, '*n']:
    """`scores` as float64 with one axis at least. Raises ValueError where one is outside [0, 1] or not finite."""
    scores = np.atleast_1d(np.asarray(scores, np.float64))
    valid = (scores >= 0) & (scores <= 1)
    if not valid.all():
        raise ValueError(f'mq and vq lie in [0, 1], got {scores[~valid][:3]}')
    return scores
