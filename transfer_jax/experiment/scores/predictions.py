"""predictions.parquet: what every method predicted for every test row; one writer for both jobs."""
import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from transfer_jax.experiment.scores.classes import answers
from transfer_jax.runtime.files import replace_atomically
from transfer_jax.runtime.paths import AnyPath

NAME = 'predictions.parquet'
PREFIX = 'p_'  # of the columns of probabilities, before the name of a class
GROUP = 2**17  # rows of a row group, at least, but for the last


@dataclasses.dataclass(frozen=True, kw_only=True)
class Block:
    """The predictions of one method for one target (or task), in lists of one entry a seed.

    seeds: their numbers; rows [m]: numbers of the test rows in the target's domain; labels [m]; outputs [m, C]: logits, or values [m, 1].
    """
    target: str
    method: str
    seeds: Sequence[int]
    rows: Sequence[np.ndarray]
    labels: Sequence[np.ndarray]
    outputs: Sequence[np.ndarray]


def write_predictions(path: AnyPath, blocks: Iterable[Block], targets: Sequence[str], methods: Sequence[str],
                      classes: Sequence[str] | None) -> None:
    """Writes the rows of blocks, all or nothing, a few blocks in memory at a time.

    Columns: target, method (dictionaries), seed, row (int32), label (the class's name, a dictionary) and float32 p_CLASS for every class;
    of a regression float32 label and value. targets, methods: all names that blocks have.
    """
    schema = _schema(classes)
    floats = [field.name for field in schema if field.type == pa.float32()]

    def write(part):
        named = [field.name for field in schema if pa.types.is_dictionary(field.type)]
        options = {'compression': 'zstd', 'use_dictionary': [*named, 'seed'],
                   'use_byte_stream_split': floats, 'column_encoding': {'row': 'DELTA_BINARY_PACKED'}}
        with pq.ParquetWriter(part, schema, **options) as writer:
            tables = (table for block in blocks for table in _tables(block, targets, methods, classes, schema))
            for table in _grouped(tables):
                writer.write_table(table, row_group_size=max(len(table), 1))
    replace_atomically(path, write)


def _schema(classes):
    name = pa.dictionary(pa.int32(), pa.string())
    own = [('label', pa.float32()), ('value', pa.float32())] if classes is None else [
        ('label', name), *((f'{PREFIX}{one}', pa.float32()) for one in classes)]
    return pa.schema([('target', name), ('method', name), ('seed', pa.int32()), ('row', pa.int32()), *own])


def _tables(block, targets, methods, classes, schema):
    """A table for every seed of a block."""
    for seed, rows, labels, outputs in zip(block.seeds, block.rows, block.labels, block.outputs, strict=True):
        same = lambda name, names, size=len(rows): _names(np.full(size, list(names).index(name)), names)
        columns = [same(block.target, targets), same(block.method, methods), np.full(len(rows), seed, np.int32), rows.astype(np.int32)]
        if classes is None:
            columns += [labels.astype(np.float32), outputs[:, 0].astype(np.float32)]
        else:
            columns += [_names(labels, classes), *np.exp(answers(outputs, labels, 0).log_p).astype(np.float32).T]
        arrays = [column if isinstance(column, pa.Array) else pa.array(np.ascontiguousarray(column)) for column in columns]
        yield pa.table(arrays, schema=schema)


def _names(numbers, names):
    return pa.DictionaryArray.from_arrays(pa.array(np.asarray(numbers, np.int32)), pa.array([str(name) for name in names], pa.string()))


def _grouped(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The tables joined to groups of GROUP rows or more."""
    waiting, count = [], 0
    for table in tables:
        waiting, count = [*waiting, table], count + len(table)
        if count >= GROUP:
            yield pa.concat_tables(waiting)
            waiting, count = [], 0
    if waiting:
        yield pa.concat_tables(waiting)
