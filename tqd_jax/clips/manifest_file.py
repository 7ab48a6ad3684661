"""One file that lists clips, a manifest or a list, as a table: whole paths, texts, and scores that are finite and in range."""
import functools
import math
import os

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from tqd_jax.clips import places
from tqd_jax.clips.tables import PIECE, TEXTS, first_line, pieces, text_fault
from transfer_jax.runtime.errors import UserError

MAX_BYTES = 2**33  # of a manifest that is fetched
RANGES = {'motion': (-math.inf, math.inf), 'visual': (-math.inf, math.inf), 'mq': (0, 1), 'vq': (0, 1)}
PAIRS = (('motion', 'visual'), ('mq', 'vq'))


def read_manifest(path, source, *, named=False, several=False):
    """The table of a manifest or a list: clip (whole paths), source and caption as text, its other columns as they are.

    source: of rows that have none. named: the user gave that name, so all rows have it, and a column `source` stays as `source_own`,
    unless there is one already, of an earlier pass.
    several: other clips stand beside these, so mq and vq of a scores.parquet, ranks within that library, are left out.
    Raises UserError, which names the row, where a value is impossible.
    """
    table = _table(path)
    if len(set(table.column_names)) < len(table.column_names):
        raise UserError(f'manifest {path} has two columns of one name: {", ".join(table.column_names)}')
    if 'clip' not in table.column_names or not table.num_rows:
        raise UserError(f'manifest {path} needs a column `clip` and at least one row; '
                        f'it has {table.num_rows} rows and the columns {", ".join(table.column_names)}')
    ranks = ('mq', 'vq') if several and 'scorer_version' in table.column_names else ()
    columns = {name: table[name] for name in table.column_names if name not in ranks}
    join = functools.partial(_join, path, places.parent(path))
    columns['clip'] = _by_piece(table['clip'], join)
    if named and 'source' in columns:
        own = columns.pop('source')
        columns.setdefault('source_own', own)
    for name, default in (('source', source), ('caption', '')):
        columns[name] = _texts(path, name, columns[name], default) if name in columns else _repeat(default, len(table))
    if 'caption' not in table.column_names and places.ending(path) != '.txt':  # a list has paths alone
        print(f'{path} has no column caption: its clips have none (columns: {", ".join(table.column_names)})')
    check_scores(path, columns)
    return pa.table(columns)


def _join(path, folder, first, names):
    """The paths of the rows from `first` on as every writer takes them, seen from the manifest's folder."""
    names = [os.fsdecode(name) if isinstance(name, bytes) else name for name in names]
    for row, name in enumerate(names, start=first):
        if not isinstance(name, str) or not name:
            raise UserError(f'manifest {path}, row {row}: clip is {name!r}, not a path')
    return [places.as_text(places.join(folder, name)) for name in names]


def _texts(path, name, column, default):
    """A column as text, `default` where it is null; in a CSV that is not UTF-8 it comes as bytes."""
    if pa.types.is_string(column.type):
        return pc.fill_null(column, default)
    text = lambda row, value: default if value is None else _text(path, name, row, value)
    return _by_piece(column, lambda first, values: [text(row, value) for row, value in enumerate(values, first)])


def _by_piece(column, convert):
    """A column of the texts that convert(row of the first, values) gives, some thousands at a time."""
    first, parts = 0, []
    for piece in pieces(column):
        parts.append(pa.array(convert(first, piece.to_pylist()), pa.string()))
        first += len(piece)
    return pa.chunked_array(parts, pa.string())


def _repeat(text, count):
    """A column of one text: the same few bytes for any number of rows."""
    piece = pa.array([text] * min(count, PIECE), pa.string())
    return pa.chunked_array([piece.slice(0, count - first) for first in range(0, count, PIECE)], pa.string())


def _text(path, name, row, value):
    """A value as text."""
    try:
        return value.decode() if isinstance(value, bytes) else str(value)
    except UnicodeDecodeError:
        raise UserError(f'manifest {path}, row {row}: {name} is {value!r}, not UTF-8: save the file as UTF-8') from None


def _table(path):
    ending = places.ending(path)
    try:
        with places.local_copy(path, MAX_BYTES) as local, open(local, 'rb') as file:
            if ending in TEXTS and (fault := text_fault(file, ending)):
                raise ValueError(fault)
            return READERS[ending](file)
    except (pa.ArrowException, OSError, ValueError, places.BadClip) as error:
        raise UserError(f'manifest {path} cannot be read: {first_line(error)}') from None


def _read_list(file):
    """The table of a list: a path a line, each as it is but for the end of the line; lines that begin with '#' are remarks."""
    lines = file.read().removeprefix(b'\xef\xbb\xbf').splitlines()
    return pa.table({'clip': pa.array([line for line in lines if line and not line.startswith(b'#')], pa.binary())})


READERS = {'.parquet': pa.parquet.read_table, '.csv': pa.csv.read_csv, '.jsonl': pa.json.read_json, '.txt': _read_list}


def check_scores(path, columns):
    """Raises UserError, naming the row, where a manifest's own scores are not a pair of axes or not finite numbers in their range."""
    for one, other in PAIRS:
        if (one in columns) != (other in columns):
            raise UserError(f'manifest {path} has one of {one} and {other}; give both or neither')
    for name in (name for name in RANGES if name in columns):
        row = _first_wrong(columns[name], *RANGES[name], columns.get('reason'))
        if row is not None:
            low, high = RANGES[name]
            allowed = 'a finite number' if math.isinf(low) else f'in [{low}, {high}]'
            raise UserError(f'manifest {path}, row {row}: {name} is {columns[name][row].as_py()!r}; it must be {allowed}')


def _first_wrong(column, low, high, reasons):
    """The first row whose value is no finite number in [low, high], or None; null is right where there is a reason why."""
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        values = column.cast(pa.float64())
        inside = pc.and_(pc.is_finite(values), pc.and_(pc.greater_equal(values, low), pc.less_equal(values, high)))
        wrong = pc.invert(pc.fill_null(inside, False))
    else:
        wrong = pa.chunked_array([pa.repeat(True, len(column))])
    if reasons is not None:
        wrong = pc.and_(wrong, pc.invert(pc.and_(pc.is_valid(reasons), pc.is_null(column))))
    row = pc.index(wrong, True).as_py()
    return None if row < 0 else row
