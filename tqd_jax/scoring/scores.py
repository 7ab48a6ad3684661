"""Reads scores.parquet: the only module that opens it, a few thousand rows at a time, so that a million clips cost no object a row."""
import contextlib
import dataclasses
import pathlib
import weakref

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from transfer_jax.runtime.paths import AnyPath, local_copy, path_of

ROWS = 8192  # rows that are read at a time
ROWS_WITH = {'all': None, 'scores': pc.is_null, 'reason': pc.is_valid}  # which rows: the test of their reason


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scores:
    """A scores.parquet of `clips` rows. schema: Arrow's. columns: their names; numeric: the names of those that hold numbers.

    local: the file itself, or a copy of one in an object store that lives as long as the Scores.
    `which` rows a method reads: 'all', those with 'scores', or those with a 'reason' why they have none.
    """
    path: AnyPath
    local: pathlib.Path
    clips: int
    schema: pa.Schema
    columns: tuple
    numeric: tuple

    def batches(self, names, which='all'):
        """Record batches of the columns `names`, at most ROWS rows each and none of them empty, in the order of the file."""
        test, names = ROWS_WITH[which], list(names)
        with pq.ParquetFile(self.local) as file:
            for batch in file.iter_batches(ROWS, columns=names if test is None else list({*names, 'reason'})):
                chosen = batch if test is None else batch.filter(test(batch['reason']))
                if len(chosen):
                    yield chosen.select(names)

    def numbers(self, name, which='all'):
        """float64 [N] of a numeric column, NaN where it is null."""
        parts = [batch[name].cast(pa.float64()).to_numpy(zero_copy_only=False) for batch in self.batches([name], which)]
        return np.concatenate([np.zeros(0), *parts])

    def texts(self, name, rows):
        """List of the values of a text column in `rows` (int [n], of all rows of the file), None where one is null."""
        order, first, values = np.argsort(rows, kind='stable'), 0, [None] * len(rows)
        for batch in self.batches([name]):
            places = order[slice(*np.searchsorted(rows, [first, first + len(batch)], sorter=order))]
            for place, text in zip(places.tolist(), batch[name].take(pa.array(rows[places] - first)).to_pylist(), strict=True):
                values[place] = text
            first += len(batch)
        return values


def read_scores(path):
    """The Scores of a file that write_scores wrote, here or in an object store. Raises OSError where there is none."""
    copy = contextlib.ExitStack()
    local = copy.enter_context(local_copy(path_of(path)))
    with pq.ParquetFile(local) as file:
        fields, clips = file.schema_arrow, file.metadata.num_rows
    numeric = lambda kind: pa.types.is_floating(kind) or pa.types.is_integer(kind)
    scores = Scores(path=path_of(path), local=local, clips=clips, schema=fields, columns=tuple(fields.names),
                    numeric=tuple(field.name for field in fields if numeric(field.type)))
    weakref.finalize(scores, copy.close)
    return scores
