"""One array file -> its fields: npz, npy, mat, parquet, csv and svmlight, each read by its own library, .gz too."""
import pathlib
import struct
from collections.abc import Callable, Sequence
from typing import Any

import scipy.io

from transfer_jax.experiment.data.tables import binary, columns, svmlight
from transfer_jax.experiment.data.tables.fields import Fields, Table, kind_of, open_file
from transfer_jax.runtime import tensors
from transfer_jax.runtime.errors import UserError

SVMLIGHT = ('.svmlight', '.libsvm', '.svm', '.txt')
DAMAGED = (*tensors.DAMAGED, LookupError, struct.error, OverflowError, scipy.io.matlab.MatReadError)


def read_table(path: str | pathlib.Path, fields: Fields) -> Table:
    """The Table of an .npz, .npy, .mat, .parquet or .csv file. Raises UserError where it cannot be read or lacks a field."""
    return guard_read(path, lambda: READERS[kind_of(path)](path, fields))


def read_svmlight(paths: Sequence[pathlib.Path], base: str = 'auto') -> list[Table]:
    """The Tables of svmlight files: sparse float32 features, as many in each as the widest has. Raises UserError, naming the file."""
    read = lambda path: svmlight.read_sparse(open_file, path)
    pairs = [guard_read(path, lambda path=path: read(path)) for path in paths]
    features = svmlight.aligned([(path, x) for path, (x, _) in zip(paths, pairs, strict=True)], base)
    return [Table(x=x, y=y) for x, (_, y) in zip(features, pairs, strict=True)]


def guard_read(path: str | pathlib.Path, read: Callable[[], Any]) -> Any:
    """read(); raises UserError with the path where the file is damaged or of another format than its name says."""
    try:
        return read()
    except NotImplementedError as error:
        if kind_of(path) != '.mat':
            raise UserError(f'{path} cannot be read ({error}); save it again, uncompressed or by deflate') from None
        raise UserError(f'{path} is a MATLAB 7.3 file, which SciPy does not read; in MATLAB, load it and '
                        "save it again with save(file, '-v7')") from None
    except DAMAGED as error:
        first = (str(error).splitlines() or [''])[0]
        raise UserError(f'{path} cannot be read ({type(error).__name__}: {first}); restore it or leave it out') from None


READERS = {'.npz': binary.read_npz, '.mat': binary.read_mat, '.parquet': columns.read_parquet, '.npy': binary.read_npy,
           '.csv': columns.read_csv, '.tsv': columns.read_csv}
SUFFIXES = (*READERS, *SVMLIGHT)
