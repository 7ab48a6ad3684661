"""Sparse features: CSR from the file to an exact fit of a linear model; dense, where there is room, for all else."""
import numpy as np
import scipy.sparse

from transfer_jax.runtime.errors import UserError

MAX_BYTES = 2**33  # of one domain's dense features
MAX_COLUMNS = 2**22  # of sparse features; fits have numbers for each of them


def is_sparse(x: object) -> bool:
    """Whether features are a matrix of SciPy."""
    return scipy.sparse.issparse(x)


def as_csr(where: object, x: scipy.sparse.sparray | scipy.sparse.spmatrix, first: int = 0,
           width: int | None = None) -> scipy.sparse.csr_array:
    """CSR [n, width], float32, of features that are numbered from `first`. Raises UserError for more columns than any fit takes."""
    x = scipy.sparse.csr_array(x).astype(np.float32)
    width = x.shape[1] - first if width is None else width
    if width > MAX_COLUMNS:
        raise UserError(f'{where}: {_largest(x)}, and {width} columns are more than the {MAX_COLUMNS} that a fit takes; correct that row, '
                        'or reduce the features first')
    x = scipy.sparse.csr_array((x.data, x.indices - first, x.indptr), shape=(x.shape[0], width))
    x.sum_duplicates()
    return x


def to_dense(where: object, x: scipy.sparse.csr_array) -> np.ndarray:
    """The array of sparse features. Raises UserError where there is no room for it; names the row of the largest index."""
    if x.shape[0] * x.shape[1] * 4 > MAX_BYTES and len(x.indices):
        raise UserError(f'{where}: {_largest(x)}, and {x.shape[0]} rows of {x.shape[1]} dense features take '
                        f'{x.shape[0] * x.shape[1] * 4 / 1e9:.0f} GB; correct that row, reduce the features first, or fit a linear model '
                        "with config.train.solver = 'exact', which keeps them sparse")
    return x.toarray()


def non_finite(x: np.ndarray | scipy.sparse.csr_array) -> tuple[np.ndarray, np.ndarray]:
    """(rows, columns) of the NaN and infinities of features or images [n, ...], in the order of rows."""
    if not is_sparse(x):
        return np.nonzero(~np.isfinite(x.reshape(len(x), -1)))
    wrong = np.flatnonzero(~np.isfinite(x.data))
    return np.searchsorted(x.indptr, wrong, side='right') - 1, x.indices[wrong]


def _largest(x):
    place = int(np.argmax(x.indices))
    return f'row {int(np.searchsorted(x.indptr, place, side="right")) - 1} has the feature {int(x.indices[place])}'
