"""svmlight files -> dense features of one width, their numbering found or named, no index believed without room for it."""
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import scipy.sparse
import sklearn.datasets

from transfer_jax.runtime.errors import UserError

MAX_BYTES = 2**33  # of one domain's dense features
BASES = ('auto', 'zero', 'one')


def read_sparse(open_file: Callable[[pathlib.Path], object], path: pathlib.Path) -> tuple[scipy.sparse.csr_matrix, np.ndarray]:
    """(features as numbered in the file, labels) of one file. Raises ValueError where it is no svmlight file."""
    with open_file(path) as file:
        x, y = sklearn.datasets.load_svmlight_file(file, dtype=np.float32, zero_based=True)
    return x, y


def to_dense(files: Sequence[tuple[pathlib.Path, scipy.sparse.csr_matrix]], base: str) -> list[np.ndarray]:
    """Features [n, F] of the files, as wide as the widest; base: of BASES, how all number their features.

    'auto': from 0 where every file uses index 0, from 1 where none does. Raises UserError where only some do, or where an index leaves no
    room, naming file, row and index.
    """
    starts = {path: bool(len(x.indices)) and int(x.indices.min()) == 0 for path, x in files}
    first = _first_index(starts, base)
    width = max((x.shape[1] for _, x in files), default=0) - first
    for path, x in files:
        check_room(path, x, width, first)
    return [_dense(x, first, width) for _, x in files]


def _first_index(starts, base):
    zero, one = ([str(path) for path, starts_at_0 in starts.items() if starts_at_0 is wanted] for wanted in (True, False))
    if base == 'one' and zero:
        raise UserError(f"config.data.index_base = 'one', and {zero[0]} has a feature 0; set it to 'zero'")
    if base == 'auto' and zero and one:
        raise UserError(f'{zero[0]} numbers its features from 0, and {one[0]} has no feature 0, so it may number them from 1: columns '
                        "would be shifted against each other. Renumber one, or set config.data.index_base to 'zero' if all number from 0")
    return int(base == 'one' or (base == 'auto' and not zero))


def check_room(path: str | pathlib.Path, x: scipy.sparse.csr_matrix, width: int, first: int = 0) -> None:
    """Raises UserError where x [n, F] would not fit into memory as width dense columns; names the row of the largest index."""
    if x.shape[0] * width * 4 > MAX_BYTES and len(x.indices):
        place = int(np.argmax(x.indices))
        row, index = int(np.searchsorted(x.indptr, place, side='right')) - 1, int(x.indices[place])
        raise UserError(f'{path}: row {row} has the feature {index}, and {x.shape[0]} rows of {width} dense features take '
                        f'{x.shape[0] * width * 4 / 1e9:.0f} GB; correct that row, or reduce the features first')


def _dense(x, first, width):
    x = scipy.sparse.csr_matrix((x.data, x.indices - first, x.indptr), shape=(x.shape[0], width))
    return x.toarray()
