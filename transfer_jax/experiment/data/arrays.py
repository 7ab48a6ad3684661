"""Array files -> the Parts of a run: one for each domain, with the labels of the file."""
import dataclasses
import pathlib
from collections.abc import Mapping

import numpy as np

from transfer_jax.experiment.data.domains import Part
from transfer_jax.experiment.data.formats import SUFFIXES, SVMLIGHT, read_svmlight, read_table
from transfer_jax.experiment.data.tables.binary import beside
from transfer_jax.experiment.data.tables.columns import aligned
from transfer_jax.experiment.data.tables.fields import Fields, kind_of, stem_of
from transfer_jax.experiment.data.tables.sparse import as_csr, is_sparse, non_finite
from transfer_jax.experiment.data.tables.values import flat, labels_of, names_of
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError


def read_arrays(path: str | pathlib.Path, fields: Fields, task: str) -> list[Part]:
    """The Parts of one file: split by its field of domains, or by its cells, or whole. Raises UserError, naming file, row and value."""
    path = pathlib.Path(path)
    table = _tables([path], fields)[0]
    if table.x.dtype == object:
        return _cells(path, table, task)
    x, y, order = _inputs(path, table.x), labels_of(path, table, task), table.classes
    _check_rows(path, x, y)
    if table.d is None:
        return [Part(name=stem_of(path), labels=y, inputs=x, order=order)]
    d = names_of(path, flat(path, table.d, 'domain'), table.domains, 'domain', 'domains')
    if len(d) != len(y):
        raise UserError(f'{path}: {fields.domain} has {counted(len(d), "row")}, {fields.labels} has {len(y)}')
    names = sorted(set(d.tolist())) if table.domains is None else table.domains
    return [Part(name=str(name), labels=y[d == name], inputs=x[d == name], order=order) for name in names]


def read_files(paths: Mapping[str, pathlib.Path], fields: Fields, task: str) -> list[Part]:
    """The Parts of several files {name: path}, each one domain. Raises UserError as read_arrays does."""
    whole = dataclasses.replace(fields, domain=None)
    parts = []
    for (name, path), table in zip(paths.items(), _tables(list(paths.values()), whole), strict=True):
        if table.x.dtype == object:
            raise UserError(f'{path} holds {counted(table.x.size, "cell")}, and each is a domain: give this file alone as config.data.path')
        if fields.domain in table.names:
            raise UserError(f'{path} has a field {fields.domain!r} (config.data.domain), and of several files each is one domain: '
                            'give this file alone as config.data.path, or set config.data.domain to None')
        x, y = _inputs(path, table.x), labels_of(path, table, task)
        _check_rows(path, x, y)
        parts.append(Part(name=name, labels=y, inputs=x, order=table.classes))
    return parts


def array_files(folder: str | pathlib.Path, fields: Fields) -> tuple[dict[str, pathlib.Path], list[dict[str, str]]]:
    """({stem: path} of a folder's array files, its other files as dicts {file, reason}). NAME_x.npy and NAME_y.npy are one, NAME."""
    files = sorted(path for path in pathlib.Path(folder).iterdir() if path.is_file() and not path.name.startswith('.'))
    arrays = [path for path in files if kind_of(path) in SUFFIXES]
    if any(kind_of(path) != '.txt' for path in arrays):  # a .txt beside other array files is a note
        arrays = [path for path in arrays if kind_of(path) != '.txt']
    parts = {beside(path, fields, name) for path in arrays if kind_of(path) in ('.npy', '.npz') for name in (fields.labels, fields.domain)}
    arrays = [path for path in arrays if path not in parts]
    features = f'_{fields.features or "x"}'
    alone = [path for path in arrays if kind_of(path) == '.npy' or beside(path, fields, fields.labels) in parts & set(files)]
    names = [stem_of(path).removesuffix(features if path in alone else '') for path in arrays]
    files = [path for path in files if path not in parts]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UserError(f'{folder} has two files of the name {twice!r}, and each is a domain: rename one')
    return dict(zip(names, arrays, strict=True)), [{'file': str(path), 'reason': 'no array file'} for path in files if path not in arrays]


def _tables(paths, fields):
    for path in paths:
        if kind_of(path) not in SUFFIXES:
            raise UserError(f'{path} has the extension {path.suffix!r}; array files are {", ".join(SUFFIXES)}, and each with .gz')
    sparse = [path for path in paths if kind_of(path) in SVMLIGHT]
    if fields.base != 'auto' and not sparse:
        raise UserError(f"config.data.index_base = {fields.base!r} is for svmlight files, and {paths[0]} is none; leave it at 'auto'")
    tables = dict(zip(sparse, read_svmlight(sparse, fields.base), strict=True)) if sparse else {}
    return aligned({path: tables.get(path) or read_table(path, fields) for path in paths})


def _cells(path, table, task):
    if len(table.x) != len(table.y) or table.y.dtype != object:
        raise UserError(f'{path}: features are {counted(table.x.size, "cell")} and labels {table.y.size}; give each task a cell in both')
    width = len(str(len(table.x)))
    names = [f'task {number:0{width}}' for number in range(1, len(table.x) + 1)]
    parts = []
    for name, x, y in zip(names, table.x, table.y, strict=True):
        where = f'{path}, {name}'
        part = Part(name=name, labels=labels_of(where, dataclasses.replace(table, y=y), task), inputs=_inputs(where, x))
        _check_rows(where, part.inputs, part.labels)
        parts.append(part)
    return parts


def _inputs(where, x):
    """uint8 images [n, H, W, C], or float32 features [n, F], CSR where the file has them sparse."""
    if is_sparse(x):
        return as_csr(where, x)
    if x.dtype == np.uint8 and (x.ndim == 3 or (x.ndim == 4 and x.shape[-1] in (1, 3))):
        return x[..., None] if x.ndim == 3 else x
    if x.ndim != 2 or x.dtype.kind not in 'biuf':
        raise UserError(f'{where}: features are {x.dtype}{list(x.shape)}; they must be numbers [n, F], or images as uint8 [n, H, W], '
                        '[n, H, W, 1] or [n, H, W, 3]; features of other shapes go as x.reshape(len(x), -1)')
    return x.astype(np.float32)


def _check_rows(where, x, y):
    if not len(y):
        raise UserError(f'{where} is empty; leave it out or give it examples')
    if x.shape[0] != len(y):
        turned = x.ndim == 2 and x.shape[1] == len(y)
        raise UserError(f'{where}: {counted(x.shape[0], "row")} of features for {counted(len(y), "label")}; '
                        + ('it has an example a column: save the transpose of the features' if turned else 'there must be one for each'))
    rows, columns = non_finite(x)
    if len(rows):
        raise UserError(f'{where}: {counted(len(np.unique(rows)), "row holds", "rows hold")} NaN or infinity, first row {rows[0]}, '
                        f'feature {columns[0]}; drop them or fill them in')
