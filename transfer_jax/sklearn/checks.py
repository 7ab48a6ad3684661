"""Checks of what a user gives to an estimator: sources by name, their columns and values, the estimator itself, and uneven columns."""
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.base import is_classifier, is_regressor
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from transfer_jax.runtime.counts import counted
from transfer_jax.sklearn.data import Features

HUGE = 1e4  # times the median column's spread
PAIRS = 'sources is a sequence of pairs, [(X_1, y_1), (X_2, y_2), ...], or a dictionary of them by name'


def named(sources: Any) -> dict[str, tuple[Any, Any]]:
    """{name: (X, y)} of a sequence of sources, or of a dictionary. Raises ValueError where it is neither."""
    if isinstance(sources, Mapping):
        return {str(name): pair_of(str(name), part) for name, part in sources.items()}
    if not isinstance(sources, Sequence) or isinstance(sources, str):
        raise ValueError(f'{PAIRS}; got {type(sources).__name__}')
    return {f'source {k}': pair_of(f'source {k}', part) for k, part in enumerate(sources)}


def pair_of(name: str, part: Any) -> tuple[Any, Any]:
    """The pair (X, y) that a source is. Raises ValueError where it is none."""
    if not isinstance(part, tuple | list) or len(part) != 2:
        raise ValueError(f'{name}: a source must be a pair (X, y), not {type(part).__name__}; {PAIRS}')
    return tuple(part)


def check_columns(name: str, x: Any, columns: int) -> None:
    """Raises ValueError where a source's X has two axes and another number of columns than the target."""
    shape = getattr(x, 'shape', ())
    if len(shape) == 2 and shape[1] != columns:
        raise ValueError(f'{name}: X has {shape[1]} features, the target has {columns} features; a source has the columns of the target, '
                         'in their order')


def check_finite(name: str, x: Features, allow_nan: bool) -> None:
    """Raises ValueError where a source's X has an entry that is infinite, or NaN unless the estimator takes it; says where."""
    stored = x.tocoo() if scipy.sparse.issparse(x) else None
    values = x if stored is None else stored.data
    wrong = np.nonzero(np.isinf(values) if allow_nan else ~np.isfinite(values))
    if len(wrong[0]):
        row, column = (index[0] for index in (wrong if stored is None else (stored.row[wrong[0]], stored.col[wrong[0]])))
        entries = counted(len(wrong[0]), 'entry of X is', 'entries of X are')
        raise ValueError(f'{name}: {entries} NaN or infinite, the first in row {row}, column {column}; fill them or '
                         'leave out their rows; for NaN an estimator that takes it will do, such as a pipeline that imputes')


def takes_nan(estimator: Any) -> bool:
    """Whether an estimator takes rows with NaN; of a pipeline its first step decides."""
    first = estimator.steps[0][1] if isinstance(estimator, Pipeline) else estimator
    return hasattr(first, '__sklearn_tags__') and get_tags(first).input_tags.allow_nan


def check_estimator(estimator: Any, classifies: bool) -> None:
    """Raises ValueError where a classifier is needed and the estimator is a regressor, or the other way round."""
    if estimator is None or not (is_regressor(estimator) if classifies else is_classifier(estimator)):
        return
    kind, other = ('classifier', 'MultiSourceRegressor') if classifies else ('regressor', 'MultiSourceClassifier')
    raise ValueError(f'estimator is {type(estimator).__name__}, which is no {kind}: give a {kind}, or use {other}')


def uneven(x: Features) -> list[str]:
    """A sentence where one column's spread over rows [n, F] is more than HUGE times the median's: it alone decides fits and distances."""
    mean = np.asarray(x.mean(0)).reshape(-1)
    square = np.asarray((x.multiply(x) if scipy.sparse.issparse(x) else x * x).mean(0)).reshape(-1)
    spread = np.sqrt(np.maximum(square - mean**2, 0))
    varied = spread[spread > 0]
    if not len(varied) or spread.max() <= HUGE * np.median(varied):
        return []
    return [f'Column {spread.argmax()} has a spread of {spread.max():.2g}, the median column {np.median(varied):.2g}: that column decides '
            'nearly alone. Standardise the columns, of target and sources by the same numbers.']
