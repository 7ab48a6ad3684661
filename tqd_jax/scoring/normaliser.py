"""A frozen, monotone map from a raw score to [0, 1], fitted once and saved with the run."""
import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Num
from scipy.special import ndtr

KINDS = ('rank', 'minmax', 'zscore')
KNOTS = 1001  # of the rank map: enough for a thousandth, and small for a million clips


@dataclasses.dataclass(frozen=True, kw_only=True)
class Normaliser:
    """Maps scores [n] to [0, 1]; a library whose scores are all equal maps to 0.5.

    kind: 'rank' (the share of the library below, by interpolation between `knots` of its quantiles), 'minmax' ((x - low) / (high - low))
    or 'zscore' (the normal CDF of (x - mean) / sd). knots: quantiles ascending, (low, high), or (mean, sd). Values outside the fitted range
    are clipped. Raises ValueError on another kind, or knots that are not finite.
    """
    kind: str
    knots: tuple

    def __post_init__(self):
        if self.kind not in KINDS or not self.knots or not np.isfinite(self.knots).all():
            raise ValueError(f'a normaliser is one of {KINDS} with finite knots, got {self.kind!r} with {self.knots[:3]}')

    @classmethod
    def fit(cls, values: Num[np.ndarray, ' n'] | Sequence[float], kind: str = 'rank'):
        """The normaliser of a library's scores [n >= 1]. Raises ValueError where one is not finite."""
        values = np.asarray(values, np.float64)
        if not values.size or not np.isfinite(values).all():
            raise ValueError(f'a normaliser is fitted to finite scores, got {values[~np.isfinite(values)][:3]} among {values.size}')
        quantiles = np.quantile(values, np.linspace(0, 1, min(KNOTS, values.size)))
        knots = {'minmax': (values.min(), values.max()), 'zscore': (values.mean(), values.std())}.get(kind, quantiles)
        return cls(kind=kind, knots=tuple(float(knot) for knot in knots))

    def __call__(self, values: Num[np.ndarray, '*n'] | Sequence[float]) -> Float64[np.ndarray, '*n']:
        """float64 [n] in [0, 1]."""
        values, knots = np.asarray(values, np.float64), np.asarray(self.knots)
        if knots[0] == knots[-1] if self.kind != 'zscore' else knots[1] == 0:
            return np.full(values.shape, 0.5)
        if self.kind == 'zscore':
            return ndtr((values - knots[0]) / knots[1])
        if self.kind == 'minmax':
            return np.clip((values - knots[0]) / (knots[1] - knots[0]), 0, 1)
        levels = np.linspace(0, 1, knots.size)
        first, last = np.searchsorted(knots, knots, 'left'), np.searchsorted(knots, knots, 'right') - 1
        return np.interp(values, knots, (levels[first] + levels[last]) / 2)  # ties share the middle of their ranks

    def to_dict(self):
        """JSON-able, and exact."""
        return {'kind': self.kind, 'knots': list(self.knots)}

    @classmethod
    def from_dict(cls, data):
        """The inverse of to_dict."""
        return cls(kind=data['kind'], knots=tuple(data['knots']))
