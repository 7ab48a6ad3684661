"""Tables with named columns: Parquet and CSV, read by pyarrow."""
import dataclasses
import pathlib
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from transfer_jax.experiment.data.tables.fields import Fields, Table, absent, field, open_file
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError


def read_parquet(path: pathlib.Path, fields: Fields) -> Table:
    """The Table of a Parquet file."""
    with open_file(path) as stream:
        return _columns(path, pa.parquet.read_table(stream), fields)


def read_csv(path: pathlib.Path, fields: Fields) -> Table:
    """The Table of a CSV file with a header; columns are divided by the most frequent of comma, semicolon and tab in it."""
    with open_file(path) as stream:
        first = stream.readline().decode('utf-8-sig')
        stream.seek(0)
        delimiter = max(',;\t', key=first.count)
        table = pa.csv.read_csv(stream, parse_options=pa.csv.ParseOptions(delimiter=delimiter),
                                convert_options=pa.csv.ConvertOptions(strings_can_be_null=False))
    for column in _wanted(table, fields):
        _refuse_spoilt(path, table, column)
    return _columns(path, table, fields)


def aligned(tables: Mapping[pathlib.Path, Table]) -> list[Table]:
    """The Tables of several files {path: Table}, with columns in the order of the first file that names them.

    Raises UserError, naming both files and a column, where they have other columns.
    """
    named = {path: table for path, table in tables.items() if table.columns is not None}
    first = next(iter(named), None)
    return [_in_order(first, tables[first].columns, path, table) if path in named else table for path, table in tables.items()]


def _in_order(first, wanted, path, table):
    for one, other, there, elsewhere in ((first, path, wanted, table.columns), (path, first, table.columns, wanted)):
        if missing := [name for name in there if name not in elsewhere]:
            raise UserError(f'{one} has {counted(len(missing), "column")} of features that {other} has not, or has as text, the first '
                            f'{missing[0]!r}; all domains need the same: rename or drop it (config.data.features says which columns count)')
    order = [table.columns.index(name) for name in wanted]
    return dataclasses.replace(table, x=table.x[:, order], columns=wanted)


def _columns(path, table, fields):
    """The Table of a table with named columns."""
    names = table.column_names
    if not len(table):
        raise UserError(f'{path} is empty; leave it out or give it examples')
    column = lambda key: field(path, lambda name: table[name], names, key, getattr(fields, key))
    y, d = np.asarray(column('labels')), column('domain')
    others = {'y': y, 'd': None if d is None else np.asarray(d), 'names': tuple(names)}
    if fields.features in names and pa.types.is_nested(table.schema.field(fields.features).type):
        return Table(x=_stack(path, table[fields.features].to_pylist()), **others)
    feature_names = [column.name for column in _wanted(table, fields) if _is_number(column.type)]
    if not feature_names:
        absent(path, names, 'features', fields.features)
    x = np.stack([np.asarray(table[name].to_numpy(), np.float32) for name in feature_names], axis=1)
    return Table(x=x, columns=tuple(feature_names), **others)


def _wanted(table, fields):
    """The schema's columns that are features where they are numbers."""
    return [column for column in table.schema
            if column.name.startswith(fields.features or '') and column.name not in (fields.labels, fields.domain)]


def _refuse_spoilt(path, table, column):
    """Raises UserError for a column of features that is text because of some of its values, or of commas in place of points."""
    if not pa.types.is_string(column.type):
        return
    values = table[column.name].to_pylist()
    numbers = [_reads_as_number(value.replace(',', '.')) for value in values]
    if 2 * sum(numbers) > len(values):
        row = next((row for row, value in enumerate(values) if not _reads_as_number(value)), 0)
        raise UserError(f'{path}: the column {column.name!r} is text, since its row {row} is {values[row]!r}, and most of it is numbers; '
                        'write numbers with a decimal point, leave a cell without one empty, or drop the column')


def _reads_as_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_number(kind):
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)


def _stack(path, rows):
    """Lists of numbers [n][F] -> [n, F]."""
    sizes = [None if row is None else len(row) for row in rows]
    odd = next((number for number, size in enumerate(sizes) if size != sizes[0] or size is None), None)
    if odd is not None:
        raise UserError(f'{path}: row {odd} has {counted(sizes[odd], "feature")}, row 0 has {sizes[0]}; all rows need the same')
    return np.array(rows)
