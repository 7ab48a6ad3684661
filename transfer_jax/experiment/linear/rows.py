"""Rows of a linear model: features with a column of ones, dense or sparse; a sparse matrix is scaled without becoming dense."""
import dataclasses
from collections.abc import Sequence

import numpy as np
import scipy.sparse

SPARSE = 0.1  # part of entries that are not 0, below which a matrix is held as CSR
SPREAD = 0.01  # part of a column's second moment that counts as variance at least: that of the ones is none
DENSE_GRAM = 2500  # columns up to which a matrix of second moments is formed


@dataclasses.dataclass(frozen=True, eq=False)
class Moments:
    """Of rows x: the mean of x x' is about mean mean' + diag(variance); mean, variance [D]."""
    mean: np.ndarray
    variance: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
    """n rows of D columns, the last of them ones: x - mean, never formed where x is sparse.

    x [n, D]: an array, or a CSR matrix; both are scaled already. mean [D]: of a CSR matrix, in its scaled columns; None for an array.
    """
    x: np.ndarray | scipy.sparse.csr_array
    mean: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(n, D)."""
        return self.x.shape

    @property
    def sparse(self) -> bool:
        """Whether x is CSR."""
        return scipy.sparse.issparse(self.x)

    @property
    def entries(self) -> int:
        """Numbers that a product reads: those that are not 0 where x is sparse."""
        return self.x.nnz if self.sparse else self.x.size

    def product(self, theta: np.ndarray) -> np.ndarray:
        """theta x [C, L, n] of theta [C, L, D]."""
        flat = theta.reshape(-1, theta.shape[-1])
        if self.mean is None:
            return (flat @ self.x.T).reshape(*theta.shape[:2], -1)
        out = self.x @ np.ascontiguousarray(flat.T)
        if self.mean.any():
            out -= flat @ self.mean
        return np.ascontiguousarray(out.T).reshape(*theta.shape[:2], -1)

    def transposed(self, values: np.ndarray) -> np.ndarray:
        """sum_i values_i x_i [C, L, D] of values [C, L, n]."""
        flat = values.reshape(-1, values.shape[-1])
        if self.mean is None:
            return (flat @ self.x).reshape(*values.shape[:2], -1)
        sums = np.ascontiguousarray((self.x.T @ np.ascontiguousarray(flat.T)).T)
        if self.mean.any():
            sums -= flat.sum(1)[:, None] * self.mean
        return sums.reshape(*values.shape[:2], -1)

    def moments(self) -> 'np.ndarray | Moments':
        """The mean of x x' [D, D]; Moments where x is sparse or D is large."""
        if self.mean is None and self.shape[1] <= DENSE_GRAM:
            return self.x.T @ self.x / len(self.x)
        if self.mean is None:
            first, square = self.x.mean(0, dtype=np.float64), np.einsum('nd,nd->d', self.x, self.x) / len(self.x)
        else:
            square, raw = np.asarray(self.x.multiply(self.x).mean(0)), np.asarray(self.x.mean(0))
            first, square = raw - self.mean, square - 2 * self.mean * raw + self.mean**2
        return Moments(first, np.maximum(square - first**2, SPREAD * square))

    def astype(self, dtype: type) -> 'Rows':
        """The Rows in another precision."""
        cast = lambda x: None if x is None else x.astype(dtype)
        return Rows(cast(self.x), cast(self.mean))

    def take(self, rows: np.ndarray) -> 'Rows':
        """The Rows of some row numbers, in their order."""
        return Rows(self.x[rows], self.mean)


def make_rows(x: np.ndarray | scipy.sparse.sparray, mean: np.ndarray | float = 0.0, scale: np.ndarray | float = 1.0) -> Rows:
    """The Rows of features x [n, F] (an array, or any sparse matrix) with these means and scales [F]; few entries are CSR."""
    width = x.shape[1]
    mean, scale = (np.broadcast_to(np.asarray(value, np.float64), width) for value in (mean, scale))
    sparse = scipy.sparse.issparse(x)
    if (x.nnz if sparse else np.count_nonzero(x)) > SPARSE * x.shape[0] * width:
        x = x.toarray() if sparse else x
        return Rows(np.concatenate([(np.asarray(x, np.float64) - mean) / scale, np.ones((len(x), 1))], 1))
    x = scipy.sparse.csr_array(x, dtype=np.float64, copy=True)
    x.data /= scale[x.indices]
    x = scipy.sparse.csr_array(scipy.sparse.hstack([x, np.ones((x.shape[0], 1))], format='csr'))
    return Rows(x, np.append(mean / scale, 0.0))


def stacked(parts: Sequence[Rows]) -> Rows:
    """The Rows of sparse parts with one mean, below each other."""
    return Rows(scipy.sparse.csr_array(scipy.sparse.vstack([part.x for part in parts], format='csr')), parts[0].mean)
