"""Means of a few values with intervals, and what the interval of a difference says."""
import dataclasses

import numpy as np
from jaxtyping import Float64
from scipy import stats

CONFIDENCE = 0.95


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mean:
    """A mean of `count` values and its 95 % interval [low, high]; of one value the interval has no ends, and these are infinite."""
    value: float
    low: float
    high: float
    count: int

    def __str__(self):
        if not np.isfinite([self.low, self.high]).all():
            return f'{self.value:.3g}'
        return f'{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]'

    def __neg__(self):
        return Mean(value=-self.value, low=-self.high, high=-self.low, count=self.count)

    @property
    def sign(self):
        """1 or -1 where the whole interval lies above or below 0, else 0."""
        return int(self.low > 0) - int(self.high < 0)


def mean_of(values: Float64[np.ndarray, ' count']) -> Mean:
    """The mean of independent values [N] with Student's interval: mean +- t(.975, N - 1) s / sqrt(N). Raises ValueError where N is 0."""
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or not values.size:
        raise ValueError(f'values must be [N], N at least 1, not {list(values.shape)}')
    mean, reach = float(values.mean()), float('inf')
    if values.size > 1:
        reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, values.size - 1) * values.std(ddof=1) / np.sqrt(values.size))
    return Mean(value=mean, low=mean - reach, high=mean + reach, count=values.size)


def paired(ours: Float64[np.ndarray, ' count'], theirs: Float64[np.ndarray, ' count']) -> Mean:
    """The mean of ours - theirs [N], values of the same caption and noise each. Raises ValueError as mean_of, and for other shapes."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if ours.shape != theirs.shape:
        raise ValueError(f'pairs want as many values, not {list(ours.shape)} and {list(theirs.shape)}')
    return mean_of(ours - theirs)
