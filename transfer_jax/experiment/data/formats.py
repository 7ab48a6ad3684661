"""One array file -> its fields: npz, mat, parquet and svmlight, each read by its own library."""
import dataclasses
import pathlib
import struct
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import scipy.io
import sklearn.datasets

from transfer_jax.runtime import tensors
from transfer_jax.runtime.errors import UserError

SVMLIGHT = ('.svmlight', '.libsvm', '.svm', '.txt')
DAMAGED = (*tensors.DAMAGED, LookupError, struct.error, scipy.io.matlab.MatReadError)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fields:
    """The names of a file's fields; domain None: the file is one domain. svmlight files have no names, and ignore these.

    In Parquet, features is a column of lists, or the prefix of numeric columns (None: every numeric column but labels and domain).
    """
    features: str | None = 'x'
    labels: str = 'y'
    domain: str | None = 'd'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """x and y as in the file; d [n], None without a field of domains; classes and domains: an .npz's names of the numbers in y and d;
    names: of all fields."""
    x: np.ndarray
    y: np.ndarray
    d: np.ndarray | None = None
    classes: tuple[str, ...] | None = None
    domains: tuple[str, ...] | None = None
    names: tuple[str, ...] = ()


def read_table(path: str | pathlib.Path, fields: Fields) -> Table:
    """The Table of an .npz, .mat or .parquet file. Raises UserError where it cannot be read or lacks a field."""
    return guard_read(path, lambda: READERS[pathlib.Path(path).suffix.lower()](path, fields))


def read_svmlight(paths: Sequence[str | pathlib.Path]) -> list[Table]:
    """The Tables of svmlight files: dense float32 features, as many in each as the widest has. Raises UserError, naming the file."""
    try:
        pairs = sklearn.datasets.load_svmlight_files([str(path) for path in paths], dtype=np.float32)
    except DAMAGED:  # the error does not name the file
        for path in paths:
            guard_read(path, lambda path=path: sklearn.datasets.load_svmlight_file(str(path)))
        raise
    return [Table(x=x.toarray(), y=y) for x, y in zip(pairs[::2], pairs[1::2], strict=True)]


def guard_read(path: str | pathlib.Path, read: Callable[[], Any]) -> Any:
    """read(); raises UserError with the path where the file is damaged or of another format than its name says."""
    try:
        return read()
    except NotImplementedError:
        raise UserError(f'{path} is a MATLAB 7.3 file, which SciPy does not read; in MATLAB, load it and '
                        "save it again with save(file, '-v7')") from None
    except DAMAGED as error:
        first = (str(error).splitlines() or [''])[0]
        raise UserError(f'{path} cannot be read ({type(error).__name__}: {first}); restore it or leave it out') from None


def _npz(path, fields):
    if not zipfile.is_zipfile(path):  # np.load would give a message about pickles
        raise ValueError('no zip archive')
    with np.load(path, allow_pickle=False) as file:
        x, y, d = (_field(path, file, file.files, key, getattr(fields, key)) for key in ('features', 'labels', 'domain'))
        names = lambda key: tuple(str(name) for name in file[key]) if key in file.files else None
        return Table(x=x, y=y, d=d, classes=names('classes'), domains=names('domains'), names=tuple(file.files))


def _mat(path, fields):
    names = [name for name, _, _ in scipy.io.whosmat(path)]
    file = scipy.io.loadmat(path, variable_names=[name for name in dataclasses.astuple(fields) if name])
    x, y = (_field(path, file, names, key, getattr(fields, key)) for key in ('features', 'labels'))
    if x.dtype == object:  # a cell array: one task each
        return Table(x=x.ravel(), y=y.ravel(), names=tuple(names))
    return Table(x=x, y=y, d=_field(path, file, names, 'domain', fields.domain), names=tuple(names))


def _parquet(path, fields):
    table = pa.parquet.read_table(path)
    names = table.column_names
    column = lambda key: _field(path, table, names, key, getattr(fields, key))
    y, d = np.asarray(column('labels')), column('domain')
    others = {'y': y, 'd': None if d is None else np.asarray(d), 'names': tuple(names)}
    if fields.features in names and pa.types.is_nested(table.schema.field(fields.features).type):
        return Table(x=_stack(path, table[fields.features].to_pylist()), **others)
    feature_names = [field.name for field in table.schema if field.name.startswith(fields.features or '') and _is_number(field.type)
              and field.name not in (fields.labels, fields.domain)]
    if not feature_names:
        _absent(path, names, 'features', fields.features)
    x = np.stack([np.asarray(table[name].to_numpy(), np.float32) for name in feature_names], axis=1)
    return Table(x=x, **others)


def _is_number(kind):
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)


def _stack(path, rows):
    """Lists of numbers [n][F] -> [n, F]."""
    sizes = [None if row is None else len(row) for row in rows]
    odd = next((number for number, size in enumerate(sizes) if size != sizes[0] or size is None), None)
    if odd is not None:
        raise UserError(f'{path}: row {odd} has {sizes[odd]} features, row 0 has {sizes[0]}; all rows need the same')
    return np.array(rows)


def _field(path, file, names, key, name):
    """The array of a field, None for a domain of None."""
    if name is None and key == 'domain':
        return None
    if name not in names:
        _absent(path, names, key, name)
    return file[name]


def _absent(path, names, key, name):
    advice = 'name one of them, or None where a file is one domain' if key == 'domain' else 'name one of them'
    raise UserError(f'{path} has no field {name!r} (config.data.{key}); it has {", ".join(names) or "none"}: {advice}')


READERS = {'.npz': _npz, '.mat': _mat, '.parquet': _parquet}
SUFFIXES = (*READERS, *SVMLIGHT)
