"""svmlight files -> sparse features of one width, their numbering found or named."""
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import scipy.sparse
import sklearn.datasets

from transfer_jax.experiment.data.tables.sparse import as_csr
from transfer_jax.runtime.errors import UserError

BASES = ('auto', 'zero', 'one')


def read_sparse(open_file: Callable[[pathlib.Path], object], path: pathlib.Path) -> tuple[scipy.sparse.csr_matrix, np.ndarray]:
    """(features as numbered in the file, labels) of one file. Raises ValueError where it is no svmlight file."""
    with open_file(path) as file:
        x, y = sklearn.datasets.load_svmlight_file(file, dtype=np.float32, zero_based=True)
    return x, y


def aligned(files: Sequence[tuple[pathlib.Path, scipy.sparse.csr_matrix]], base: str) -> list[scipy.sparse.csr_array]:
    """Features [n, F] of the files, as wide as the widest; base: of BASES, how all number their features.

    'auto': from 0 where every file uses index 0, from 1 where none does. Raises UserError where only some do, or where an index is too
    large, naming file, row and index.
    """
    starts = {path: bool(len(x.indices)) and int(x.indices.min()) == 0 for path, x in files}
    first = _first_index(starts, base)
    width = max((x.shape[1] for _, x in files), default=0) - first
    widest_first = sorted(range(len(files)), key=lambda number: -files[number][1].shape[1])  # an error names the file that is too wide
    matrices = {number: as_csr(*files[number], first, width) for number in widest_first}
    return [matrices[number] for number in range(len(files))]


def _first_index(starts, base):
    zero, one = ([str(path) for path, starts_at_0 in starts.items() if starts_at_0 is wanted] for wanted in (True, False))
    if base == 'one' and zero:
        raise UserError(f"config.data.index_base = 'one', and {zero[0]} has a feature 0; set it to 'zero'")
    if base == 'auto' and zero and one:
        raise UserError(f'{zero[0]} numbers its features from 0, and {one[0]} has no feature 0, so it may number them from 1: columns '
                        "would be shifted against each other. Renumber one, or set config.data.index_base to 'zero' if all number from 0")
    return int(base == 'one' or (base == 'auto' and not zero))
