"""One array file -> its fields: npz, npy, mat, parquet, csv and svmlight, each read by its own library, .gz too."""
import dataclasses
import gzip
import io
import pathlib
import struct
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import scipy.io
import scipy.sparse

from transfer_jax.experiment.data.tables import objects, svmlight
from transfer_jax.runtime import tensors
from transfer_jax.runtime.errors import UserError

SVMLIGHT = ('.svmlight', '.libsvm', '.svm', '.txt')
DAMAGED = (*tensors.DAMAGED, LookupError, struct.error, OverflowError, scipy.io.matlab.MatReadError)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fields:
    """The names of a file's fields; domain None: the file is one domain. svmlight files have no names, and ignore these.

    In Parquet and CSV, features is a column of lists, or the prefix of numeric columns (None: every numeric column but labels and domain).
    base: how svmlight files number their features (svmlight.BASES).
    """
    features: str | None = 'x'
    labels: str = 'y'
    domain: str | None = 'd'
    base: str = 'auto'


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


def kind_of(path: str | pathlib.Path) -> str:
    """The extension of an array file in small letters, that within .gz where it is compressed."""
    path = pathlib.Path(path)
    return (pathlib.Path(path.stem) if path.suffix.lower() == '.gz' else path).suffix.lower()


def stem_of(path: str | pathlib.Path) -> str:
    """The name of an array file without its extensions."""
    path = pathlib.Path(path)
    return pathlib.Path(path.stem).stem if path.suffix.lower() == '.gz' else path.stem


def read_table(path: str | pathlib.Path, fields: Fields) -> Table:
    """The Table of an .npz, .npy, .mat, .parquet or .csv file. Raises UserError where it cannot be read or lacks a field."""
    return guard_read(path, lambda: READERS[kind_of(path)](path, fields))


def read_svmlight(paths: Sequence[pathlib.Path], base: str = 'auto') -> list[Table]:
    """The Tables of svmlight files: dense float32 features, as many in each as the widest has. Raises UserError, naming the file."""
    read = lambda path: svmlight.read_sparse(_open, path)
    pairs = [guard_read(path, lambda path=path: read(path)) for path in paths]
    dense = svmlight.to_dense([(path, x) for path, (x, _) in zip(paths, pairs, strict=True)], base)
    return [Table(x=x, y=y) for x, (_, y) in zip(dense, pairs, strict=True)]


def _open(path):
    """A binary stream of a file, unpacked where it is .gz, that can be read from any place."""
    return io.BytesIO(gzip.decompress(pathlib.Path(path).read_bytes())) if str(path).lower().endswith('.gz') else open(path, 'rb')


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
    with _open(path) as stream:
        if not zipfile.is_zipfile(stream):  # np.load would give a message about pickles
            raise ValueError('no zip archive')
        with zipfile.ZipFile(stream) as file:
            names = tuple(name.removesuffix('.npy') for name in file.namelist())
            read = lambda name: objects.read_npy(f'{path}, field {name!r}', io.BytesIO(file.read(f'{name}.npy')))
            x, y, d = (_dense(path, _field(path, read, names, key, getattr(fields, key))) for key in ('features', 'labels', 'domain'))
            texts = lambda key: tuple(str(name) for name in read(key)) if key in names else None
            return Table(x=x, y=y, d=d, classes=texts('classes'), domains=texts('domains'), names=names)


def _npy(path, fields):
    """Features, with labels and domains in files beside: x.npy, y.npy, d.npy, or NAME_x.npy, NAME_y.npy; or one array with named fields."""
    whole = _read_npy(path)
    if whole.dtype.names:
        names = whole.dtype.names
        x, y, d = (_field(path, lambda name: whole[name], names, key, getattr(fields, key)) for key in ('features', 'labels', 'domain'))
        return Table(x=x, y=y, d=d, names=names)
    y, d = (beside(path, fields, getattr(fields, key)) for key in ('labels', 'domain'))
    if y is None or not y.exists():
        wanted = y or f'{pathlib.Path(path).with_name(fields.features or "x")}.npy beside {fields.labels}.npy'
        raise UserError(f'{path} is one array, and labels are wanted in {wanted}; or save both: np.savez(FILE, x=features, y=labels)')
    d = d if d is not None and d.exists() else None
    names = (fields.features, fields.labels, *([fields.domain] if d else []))
    return Table(x=whole, y=_read_npy(y), d=d and _read_npy(d), names=names)


def _read_npy(path):
    with _open(path) as stream:
        return objects.read_npy(str(path), stream)


def beside(path: pathlib.Path, fields: Fields, name: str | None) -> pathlib.Path | None:
    """The .npy file of another field beside one of features, x.npy or NAME_x.npy; None where the file is not called so."""
    stem, features = stem_of(path), fields.features or 'x'
    if name is None or not (stem == features or stem.endswith(f'_{features}')):
        return None
    return pathlib.Path(path).with_name(stem.removesuffix(features) + name + pathlib.Path(path).name.removeprefix(stem))


def _mat(path, fields):
    with _open(path) as stream:
        names = [name for name, _, _ in scipy.io.whosmat(stream)]
        stream.seek(0)
        file = scipy.io.loadmat(stream, variable_names=[name for name in (fields.features, fields.labels, fields.domain) if name])
    x, y = (_dense(path, _field(path, file.get, names, key, getattr(fields, key))) for key in ('features', 'labels'))
    if x.dtype == object:  # a cell array: one task each
        dense = np.empty(x.size, object)
        for number, cell in enumerate(x.ravel()):
            dense[number] = _dense(path, cell)
        return Table(x=dense, y=y.ravel(), names=tuple(names))
    return Table(x=x, y=y, d=_field(path, file.get, names, 'domain', fields.domain), names=tuple(names))


def _dense(path, values):
    """A sparse matrix as an array, where there is room for it; others as they are."""
    if not scipy.sparse.issparse(values):
        return values
    values = scipy.sparse.csr_matrix(values)
    svmlight.check_room(path, values, values.shape[1])
    return values.toarray()


def _parquet(path, fields):
    with _open(path) as stream:
        return _columns(path, pa.parquet.read_table(stream), fields)


def _csv(path, fields):
    with _open(path) as stream:
        first = stream.readline().decode('utf-8-sig')
        stream.seek(0)
        delimiter = max(',;\t', key=first.count)
        table = pa.csv.read_csv(stream, parse_options=pa.csv.ParseOptions(delimiter=delimiter),
                                convert_options=pa.csv.ConvertOptions(strings_can_be_null=False))
    return _columns(path, table, fields)


def _columns(path, table, fields):
    """The Table of a table with named columns."""
    names = table.column_names
    column = lambda key: _field(path, lambda name: table[name], names, key, getattr(fields, key))
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


def _field(path, read, names, key, name):
    """read(name) of a field, None for a domain of None."""
    if name is None and key == 'domain':
        return None
    if name not in names:
        _absent(path, names, key, name)
    return read(name)


def _absent(path, names, key, name):
    advice = 'name one of them, or None where a file is one domain' if key == 'domain' else 'name one of them'
    if key == 'features' and kind_of(path) in ('.csv', '.tsv', '.parquet'):
        advice = 'name a column or the beginning of several; None: every column of numbers'
    raise UserError(f'{path} has no field {name!r} (config.data.{key}); it has {", ".join(names[:20]) or "none"}: {advice}')


READERS = {'.npz': _npz, '.mat': _mat, '.parquet': _parquet, '.npy': _npy, '.csv': _csv, '.tsv': _csv}
SUFFIXES = (*READERS, *SVMLIGHT)
