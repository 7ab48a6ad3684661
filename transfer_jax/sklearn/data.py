"""Data: the target and its sources as numbers, the target's folds, and the halves of every source."""
import dataclasses

import numpy as np
import scipy.sparse

from transfer_jax.experiment.linear.rows import SPARSE

Features = np.ndarray | scipy.sparse.csr_array


@dataclasses.dataclass(frozen=True, eq=False)
class Data:
    """Features x and labels y of the target, the first, and of K sources; the same columns in all.

    x: [n, F] each, all of them arrays or all CSR; y: [n] each, numbers of the classes, or values. classes: C, None for a regression.
    fold [N0]: the fold that a row of the target is left out in, -1 where it is in every fit. halves: [N_k] each, 0 or 1, of the sources.
    """
    x: tuple[Features, ...]
    y: tuple[np.ndarray, ...]
    classes: int | None
    fold: np.ndarray
    halves: tuple[np.ndarray, ...]

    @property
    def folds(self) -> int:
        """F: the number of folds, 0 where no row can be left out."""
        return int(self.fold.max()) + 1

    @property
    def size(self) -> int:
        """N0."""
        return len(self.fold)

    @property
    def sizes(self) -> np.ndarray:
        """N [K]."""
        return np.array([len(labels) for labels in self.y[1:]], float)

    def without(self, fold: int) -> np.ndarray:
        """Whether a row of the target is outside this fold, [N0]."""
        return self.fold != fold


def make_data(x: list, y: list, classes: int | None, folds: int, random_state: np.random.RandomState | None,
              compress: bool = True) -> Data:
    """The Data of features and labels, the target's first. Rows take turns, class by class, in their order or in a random one.

    compress: whether arrays in which few entries are not 0 become CSR, which exact fits are faster on and some estimators refuse.
    """
    fold = make_folds(y[0], classes, folds, random_state)
    halves = tuple(turns(labels, classes, random_state) % 2 for labels in y[1:])
    return Data(tuple(alike(x, compress)), tuple(y), classes, fold, halves)


def alike(x: list, compress: bool) -> list[Features]:
    """All matrices in one form: CSR where one is sparse or, with compress, where few entries are not 0, else arrays."""
    if not any(scipy.sparse.issparse(part) for part in x):
        filled = sum(np.count_nonzero(part) for part in x) > SPARSE * sum(part.size for part in x)
        if filled or not compress:
            return x
    return [scipy.sparse.csr_array(part) for part in x]


def turns(labels: np.ndarray, classes: int | None, random_state: np.random.RandomState | None) -> np.ndarray:
    """A number for every row [n]: rows of one class have numbers that follow each other, and so have the classes."""
    order = np.arange(len(labels)) if random_state is None else random_state.permutation(len(labels))
    if classes is not None:
        order = order[np.argsort(labels[order], kind='stable')]
    number = np.empty(len(labels), int)
    number[order] = np.arange(len(labels))
    return number


def make_folds(labels: np.ndarray, classes: int | None, folds: int, random_state: np.random.RandomState | None) -> np.ndarray:
    """The fold of every row [n]; -1 for the only row of a class, and for all where no two folds would be left."""
    fold = turns(labels, classes, random_state) % min(folds, len(labels))
    if classes is not None:
        fold[np.bincount(labels, minlength=classes)[labels] < 2] = -1
    used, number = np.unique(fold[fold >= 0], return_inverse=True)
    fold[fold >= 0] = number
    return fold if len(used) > 1 else np.full(len(labels), -1)


def as_target(rows: np.ndarray, size: int) -> np.ndarray:
    """Weights [..., n] of the rows of masks [..., n], N0 = size in all: a penalty pulls the fits of small and large data sets alike."""
    return rows * (size / np.maximum(rows.sum(-1, keepdims=True), 1))


def stack(x: tuple[Features, ...]) -> Features:
    """Rows of several matrices, one below the other."""
    return scipy.sparse.vstack(x, format='csr') if scipy.sparse.issparse(x[0]) else np.concatenate(x)
