"""Columns as text, and text as numbers, a few thousand rows at a time."""
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tqd_jax.clips.tables import PIECE, is_number, pieces
from transfer_jax.runtime.errors import UserError


def as_text(path, name, column) -> pa.ChunkedArray:
    """A column as text, null where it is null. Raises UserError where it holds bytes that are not UTF-8."""
    if pa.types.is_null(column.type):
        return column.cast(pa.string())
    if any(test(column.type) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_dictionary)):
        return column.cast(pa.string())
    text = lambda row, value: None if value is None else _text(path, name, row, value)
    return by_piece(column, lambda first, values: [text(row, value) for row, value in enumerate(values, first)])


def by_piece(column, convert: Callable) -> pa.ChunkedArray:
    """A column of the texts that convert(row of the first, values) gives, some thousands at a time."""
    first, parts = 0, []
    for piece in pieces(column):
        parts.append(pa.array(convert(first, piece.to_pylist()), pa.string()))
        first += len(piece)
    return pa.chunked_array(parts, pa.string())


def repeated(text, count) -> pa.ChunkedArray:
    """A column of one text: the same few bytes for any number of rows."""
    piece = pa.array([text] * min(count, PIECE), pa.string())
    return pa.chunked_array([piece.slice(0, count - first) for first in range(0, count, PIECE)], pa.string())


def numbers_of(path, name, column, must) -> pa.ChunkedArray:
    """A column of texts as float64, null where one is blank; numbers stay as they are.

    must: raises UserError, with the row and its value, where a text is no number; else such a column stays as it is.
    """
    if not pa.types.is_string(column.type):
        return column
    texts = blank_as_null(pc.utf8_trim_whitespace(column))
    try:
        return texts.cast(pa.float64())
    except pa.ArrowInvalid:
        if not must:
            return column
    row, value = next((row, value) for row, value in enumerate(texts.to_pylist()) if value is not None and not _counts(value))
    comma = '; write decimals with a point' if ',' in value else ''
    raise UserError(f'manifest {path}, row {row}: {name} is {value!r}, not a number{comma}') from None


def blank_as_null(column) -> pa.ChunkedArray:
    """A column of texts, null where one is ''; others stay as they are."""
    return pc.if_else(pc.equal(column, ''), pa.scalar(None, pa.string()), column) if pa.types.is_string(column.type) else column


def one_type(tables: list[pa.Table]) -> list[pa.Table]:
    """Tables whose columns of one name can be put end to end: those of different types as text, numbers of several kinds as they are."""
    kinds = {}
    for table in tables:
        for field in table.schema:
            kinds.setdefault(field.name, set()).add(field.type)
    meet = lambda types: len(types) == 1 or all(is_number(kind) or pa.types.is_null(kind) for kind in types)
    mixed = {name for name, types in kinds.items() if not meet(types)}
    if not mixed:
        return tables
    text = lambda name, column: column if pa.types.is_list(column.type) else as_text('', name, column)
    out = [pa.table({name: text(name, table[name]) if name in mixed else table[name] for name in table.column_names}) for table in tables]
    lists = {field.name for table in out for field in table.schema if field.name in mixed and pa.types.is_list(field.type)}
    return [table.drop_columns([name for name in lists if name in table.column_names and not pa.types.is_list(table[name].type)])
            for table in out]


def _counts(text):
    try:
        return bool(np.float64(text)) or True
    except ValueError:
        return False


def _text(path, name, row, value):
    """A value as text."""
    try:
        return value.decode() if isinstance(value, bytes) else str(value)
    except UnicodeDecodeError:
        raise UserError(f'manifest {path}, row {row}: {name} is {value[:60]!r}, not UTF-8: save it as text') from None
