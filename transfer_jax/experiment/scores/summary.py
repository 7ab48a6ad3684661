"""Means and standard errors of scores, some of which may have no value, and how they are written."""
from collections.abc import Sequence

import numpy as np

Pair = tuple[float | None, float | None]


def mean_and_error(values: Sequence[float | None]) -> Pair:
    """(mean, standard error) of the values that are neither None nor NaN; the error of one value, and the mean of none, are None."""
    values = np.array([np.nan if value is None else value for value in values], float)
    values = values[~np.isnan(values)]
    mean = float(values.mean()) if len(values) else None
    return mean, float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def mean_over_first(values: np.ndarray) -> np.ndarray:
    """The means [n] over the first axis of values [m, n], each of those that are not NaN; NaN where all are."""
    values = np.asarray(values, float)
    known = ~np.isnan(values)
    count = known.sum(0)
    return np.divide(np.where(known, values, 0).sum(0), count, out=np.full(values.shape[1], np.nan), where=count > 0)


def format_pair(pair: Pair, digits: int = 3) -> str:
    """'0.812 ± 0.004' of (mean, standard error); '-' without a mean."""
    mean, error = pair
    if mean is None:
        return '-'
    return f'{mean:.{digits}f}' + ('' if error is None else f' ± {error:.{digits}f}')
