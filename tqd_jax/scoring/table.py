"""scores.parquet: a row a clip, in the clips' order, written a few rows at a time."""
import contextlib
import itertools
import json
import os
import pathlib
import tempfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from tqd_jax.clips import places
from tqd_jax.scoring.measures import MEASURES
from tqd_jax.scoring.normaliser import Normaliser
from tqd_jax.scoring.versions import is_ours
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.files import upload, write_atomically
from transfer_jax.runtime.paths import is_remote, path_of

SCORES = ('motion', 'visual', 'mq', 'vq')
SCHEMA = pa.schema([
    ('clip', pa.string()), *((name, pa.float64()) for name in SCORES), *((m.name, pa.float64()) for m in MEASURES),
    ('width', pa.int32()), ('height', pa.int32()), ('fps', pa.float64()), ('duration', pa.float64()), ('fingerprint', pa.string()),
    ('dynamic_range', pa.string()),
    ('id', pa.string()), ('scorer_version', pa.string()), ('reason', pa.string())])
UNKNOWN = 'the scores of the other tool have no motion or no visual quality for it'
CHUNK, GROUP = 256, 4096  # rows that are held as Python values, and rows of a Parquet row group


def write_scores(output, table, rows, normaliser='rank', more=()):
    """Writes scores.parquet, whole or not at all, and returns {'motion', 'visual'}: the Normalisers, and the number of scored clips.

    table: of read_clips, whose own motion and visual, or mq and vq, stand in place of measured ones for all clips, and whose other columns
    follow; one that has the name of a column here is kept as source_<name>, unless the table is one that this function wrote.
    rows: a function that gives an iterator of the clips' rows, in the table's order; asked twice, so that memory is some floats a clip.
    normaliser: a kind that is fitted to the scored clips, or {'motion', 'visual'} as fitted before. more: names of further float columns.
    Relative paths are written as seen from the table's folder, so that the table is a manifest wherever it lies.
    A clip without a finite motion and visual gets a reason, and none of the scores. Raises UserError where the file cannot be written.
    """
    own = {name: table[name].cast(pa.float64()).to_numpy() for name in SCORES if name in table.column_names}
    motion, visual = _scores(own, rows(), len(table))
    fit = np.isfinite(motion) & np.isfinite(visual)
    maps = _fit_maps(normaliser, motion[fit], visual[fit])
    scores = {'motion': motion, 'visual': visual, 'mq': _apply_map(maps, 'motion', motion), 'vq': _apply_map(maps, 'visual', visual)}
    scores |= {name: own[name] for name in ('mq', 'vq') if name in own}
    schema = pa.schema([*SCHEMA, *(pa.field(name, pa.float64()) for name in more)])
    others, scored = _others(table, schema.names), 0
    with _replacing(output) as file, pa.parquet.ParquetWriter(file, pa.schema([*schema, *others.schema])) as writer:
        batches, start, folder = rows(), 0, places.parent(output)
        while start < len(table):
            group = pa.Table.from_batches(list(_batches(batches, schema, scores, fit, start, folder)), schema)
            beside = others.slice(start, len(group))
            scored += group['reason'].null_count
            writer.write_table(pa.table([*group.columns, *beside.columns], pa.schema([*schema, *others.schema])))
            start += len(group)
    return maps, scored


def rename_clips(scores, take):
    """Writes a Scores' file again with other paths of the clips that have scores: take(first, count) gives some of them, in order."""
    path, first, folder = os.fspath(scores.path), 0, places.parent(os.fspath(scores.path))
    schema = scores.schema
    with _replacing(path) as file, pa.parquet.ParquetWriter(file, schema) as writer:
        for batch in scores.batches(scores.columns):
            names = np.array(batch['clip'].to_pylist(), object)
            rows = np.flatnonzero(batch['reason'].is_null().to_numpy(zero_copy_only=False))
            names[rows] = [places.seen_from(folder, name) for name in take(first, len(rows))]
            first += len(rows)
            place = batch.schema.get_field_index('clip')
            renamed = batch.set_column(place, schema.field('clip'), pa.array(names.tolist(), pa.string()))
            writer.write_batch(renamed, row_group_size=GROUP)


def _others(table, names):
    """The columns of a table beside `names`; those of its own that have such a name as source_<name>."""
    others = {name: table[name] for name in table.column_names if name not in names}
    if not is_ours(table):  # else they are written anew
        own = [name for name in table.column_names if name in names and name not in ('clip', *SCORES)]
        others = {f'source_{name}': table[name] for name in own} | others
    return pa.table(others) if others else table.select([])


def save_maps(path, maps):
    """Writes fitted normalisers {'motion', 'visual'} as JSON."""
    write_atomically(path_of(path), json.dumps({name: value.to_dict() for name, value in maps.items()}).encode())


def load_maps(path):
    """The normalisers of a file that save_maps wrote. Raises OSError, or ValueError where it is something else."""
    try:
        return {name: Normaliser.from_dict(json.loads(path_of(path).read_text())[name]) for name in ('motion', 'visual')}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f'{path} has no fitted {error}') from error


def rows_of(table):
    """The rows of such a table, as engine.rows gives them."""
    columns = [name for name in SCHEMA.names if name in table.column_names]
    for batch in table.select(columns).to_batches(CHUNK):
        for row in batch.to_pylist():
            yield {name: value for name, value in row.items() if name != 'reason' or value is not None}


def _scores(own, rows, count):
    """(motion [N], visual [N]): the given or the measured ones, never some of each, NaN where a clip has a reason."""
    values = np.full((2, count), np.nan)
    for i, row in enumerate(rows):
        if 'reason' not in row:
            values[:, i] = [own[name][i] if name in own else _number(row.get(name)) for name in ('motion', 'visual')]
    return values


def _number(value):
    return np.nan if value is None else value


def _fit_maps(normaliser, motion, visual):
    if not isinstance(normaliser, str) or not motion.size:
        return {} if isinstance(normaliser, str) else normaliser
    return {name: Normaliser.fit(values, normaliser) for name, values in (('motion', motion), ('visual', visual))}


def _apply_map(maps, name, values):
    return maps[name](values) if maps else values


def _batches(rows, schema, scores, fit, start, folder):
    """Record batches of CHUNK rows, GROUP rows in all, from row `start` on."""
    for first in range(start, start + GROUP, CHUNK):
        chunk = list(itertools.islice(rows, CHUNK))
        if chunk:
            yield _batch(chunk, schema, {name: values[first:first + len(chunk)] for name, values in scores.items()}, fit[first:], folder)


def _batch(chunk, schema, scores, fit, folder):
    blank = {name: None for name in schema.names}
    values = [blank | row | {name: float(column[i]) for name, column in scores.items()} if fit[i] and 'reason' not in row
              else blank | {name: row.get(name) for name in ('clip', 'id', 'scorer_version')} | {'reason': row.get('reason', UNKNOWN)}
              for i, row in enumerate(chunk)]
    named = [{name: row[name] for name in schema.names} | {'clip': places.seen_from(folder, row['clip'])} for row in values]
    return pa.RecordBatch.from_pylist(named, schema)


@contextlib.contextmanager
def _replacing(output):
    """A file to write that takes the place of `output` when all is written."""
    if is_remote(output):
        with tempfile.TemporaryDirectory(prefix='tqd-') as folder:
            part = pathlib.Path(folder, 'scores')
            with open(part, 'wb') as file:
                yield file
            upload(part, path_of(output))
        return
    part = pathlib.Path(output).with_name(f'.{pathlib.Path(output).name}.{os.getpid()}.part')  # two runs on one output: the last stands
    try:
        with open(part, 'wb') as file:
            yield file
        os.replace(part, output)
    except OSError as error:
        raise UserError(f'{output} cannot be written: {error.strerror}') from error
    finally:
        with contextlib.suppress(OSError):  # or it would take the place of what went wrong
            part.unlink(missing_ok=True)
