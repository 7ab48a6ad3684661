"""What intervals and held-out losses can tell: a verdict on each source, and whether a gain over the target alone is clear."""
import numpy as np
from jaxtyping import Float

NONE, MUCH = 0.1, 1.0  # of the target's samples: a source worth less is of no account; from MUCH on it counts as the target itself
HELPS, HARMS, NOTHING, UNKNOWN = 'helps', 'harms', 'adds nothing', 'cannot tell'


def verdict(low: float, high: float, target_size: float, harmful: bool) -> str:
    """HELPS, HARMS, NOTHING or UNKNOWN, from the interval of u = w N, the target samples that a source is worth at its best weight.

    Without the source F is higher by the factor 1 + u / N0 at most, where it alone helps: below NONE N0 that is less than 10 %. harmful:
    whether the source alone, at weight 1, has a larger predicted error than the target alone.
    """
    if low >= NONE * target_size:
        return HELPS
    if high < NONE * target_size:
        return HARMS if harmful else NOTHING
    return UNKNOWN


def is_unsure(low: float, high: float, target_size: float) -> bool:
    """Whether an interval of u spans none to much: the source may be of no account, or be worth more than the target itself."""
    return low < NONE * target_size and high > MUCH * target_size


def gain(losses: Float[np.ndarray, ' n'], other: Float[np.ndarray, ' n']) -> tuple[float, float]:
    """(mean, standard error) over held-out rows of the other losses less these; rows with NaN have no part."""
    change = (other - losses)[~np.isnan(other - losses)]
    return float(change.mean()), float(change.std() / max(len(change) - 1, 1) ** 0.5)
