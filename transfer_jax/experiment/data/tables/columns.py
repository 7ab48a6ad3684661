"""Tables with named columns: Parquet and CSV, read by pyarrow."""
import pathlib

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
    return _columns(path, table, fields)


def _columns(path, table, fields):
    """The Table of a table with named columns."""
    names = table.column_names
    column = lambda key: field(path, lambda name: table[name], names, key, getattr(fields, key))
    y, d = np.asarray(column('labels')), column('domain')
    others = {'y': y, 'd': None if d is None else np.asarray(d), 'names': tuple(names)}
    if fields.features in names and pa.types.is_nested(table.schema.field(fields.features).type):
        return Table(x=_stack(path, table[fields.features].to_pylist()), **others)
    feature_names = [field.name for field in table.schema if field.name.startswith(fields.features or '') and _is_number(field.type)
              and field.name not in (fields.labels, fields.domain)]
    if not feature_names:
        absent(path, names, 'features', fields.features)
    x = np.stack([np.asarray(table[name].to_numpy(), np.float32) for name in feature_names], axis=1)
    return Table(x=x, **others)


def _is_number(kind):
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)


def _stack(path, rows):
    """Lists of numbers [n][F] -> [n, F]."""
    sizes = [None if row is None else len(row) for row in rows]
    odd = next((number for number, size in enumerate(sizes) if size != sizes[0] or size is None), None)
    if odd is not None:
        raise UserError(f'{path}: row {odd} has {counted(sizes[odd], "feature")}, row 0 has {sizes[0]}; all rows need the same')
    return np.array(rows)
