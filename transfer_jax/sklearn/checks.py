"""Checks of what a user gives to an estimator: sources by name, their columns and values, the estimator itself."""
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.base import is_classifier, is_regressor
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import check_array, column_or_1d

from transfer_jax.runtime.counts import counted
from transfer_jax.sklearn.data import Features

PAIRS = 'sources is a sequence of pairs, [(X_1, y_1), (X_2, y_2), ...], or a dictionary of them by name'


def named(sources: Any) -> dict[str, tuple[Any, Any]]:
    """{name: (X, y)} of a sequence of sources, or of a dictionary. Raises ValueError where it is neither, or two names are one text."""
    if isinstance(sources, Mapping):
        names = [str(name) for name in sources]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f'sources has two of the name {twice[0]!r}, since names are texts: give each source its own name')
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


def labels_of(name: str, y: Any, rows: int, numeric: bool) -> np.ndarray:
    """A source's y [rows], floats where numeric. Raises ValueError where y is no column, lacks a value or has another length than X."""
    try:
        y = column_or_1d(check_array(y, ensure_2d=False, dtype=np.float64 if numeric else None))
    except (TypeError, ValueError) as error:
        raise ValueError(f'{name}: y: {error}') from error
    if len(y) != rows:
        raise ValueError(f'{name}: X has {counted(rows, "row")}, y has {counted(len(y), "value")}: give one value of y for each row of X')
    return y


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
    """Raises ValueError where the estimator is none, or a classifier is needed and it is a regressor, or the other way round."""
    if isinstance(estimator, type):
        raise ValueError(f'estimator is the class {estimator.__name__}: give an object of it, {estimator.__name__}()')
    if estimator is not None and not hasattr(estimator, 'fit'):
        raise ValueError(f'estimator is {estimator!r}, which has no fit: give an estimator of scikit-learn, or None for exact linear fits')
    if estimator is None or not (is_regressor(estimator) if classifies else is_classifier(estimator)):
        return
    kind, other = ('classifier', 'MultiSourceRegressor') if classifies else ('regressor', 'MultiSourceClassifier')
    raise ValueError(f'estimator is {type(estimator).__name__}, which is no {kind}: give a {kind}, or use {other}')


def check_ridge(ridge: Any) -> None:
    """Raises ValueError where a ridge is neither None nor a finite number above 0."""
    number = isinstance(ridge, numbers.Real) and not isinstance(ridge, bool)
    if ridge is not None and not (number and 0 < ridge < np.inf):
        raise ValueError(f'ridge is {ridge!r}; it must be a finite number above 0, or None for a choice by folds')
