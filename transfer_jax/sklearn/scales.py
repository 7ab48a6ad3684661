"""Sentences on the scales of columns: one that decides alone, and sources in other units than the target."""
import numpy as np
import scipy.sparse

from transfer_jax.sklearn.data import Features

HUGE = 1e4  # times the median column's spread
FOREIGN = 10.0  # spreads of the target, in the median of columns: a source beyond has other units


def uneven(x: Features) -> list[str]:
    """A sentence where one column's spread over rows [n, F] is more than HUGE times the median's: it alone decides fits and distances."""
    spread = _moments(x)[1]
    varied = spread[spread > 0]
    if not len(varied) or spread.max() <= HUGE * np.median(varied):
        return []
    return [f'Column {spread.argmax()} has a spread of {spread.max():.2g}, the median column {np.median(varied):.2g}: that column decides '
            'nearly alone. Standardise the columns, of target and sources by the same numbers.']


def in_other_units(name: str, x: Features, target: Features) -> list[str]:
    """A sentence where a source's columns lie or spread FOREIGN times as far as the target's, in the median: both have other units."""
    (mean, spread), (here, ours) = _moments(x), _moments(target)
    varied = (spread > 0) & (ours > 0)
    if not varied.any():
        return []
    ratio, shift = np.median(spread[varied] / ours[varied]), np.median(np.abs(mean - here)[varied] / ours[varied])
    if not np.isfinite(ratio + shift) or (1 / FOREIGN <= ratio <= FOREIGN and shift <= FOREIGN):
        return []
    return [f'{name}: its columns spread {ratio:.2g} times as far as the target\'s, and their means lie {shift:.2g} of its spreads off '
            '(medians): scale target and sources by the same numbers; a step of a Pipeline before this estimator scales the target alone.']


def _moments(x):
    """(mean, spread) [F] of the columns of rows [n, F]."""
    mean = np.asarray(x.mean(0)).reshape(-1)
    square = np.asarray((x.multiply(x) if scipy.sparse.issparse(x) else x * x).mean(0)).reshape(-1)
    return mean, np.sqrt(np.maximum(square - mean**2, 0))
