"""Which clips there are: a folder searched recursively, or a manifest file, as one checked table."""
import math
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from transfer_jax.runtime.errors import UserError

ENDINGS = ('.mp4', '.mkv', '.webm', '.avi', '.mov', '.gif', '.m4v')
READERS = {'.parquet': pa.parquet.read_table, '.csv': pa.csv.read_csv, '.jsonl': pa.json.read_json}
RANGES = {'motion': (-math.inf, math.inf), 'visual': (-math.inf, math.inf), 'mq': (0, 1), 'vq': (0, 1)}
PAIRS = (('motion', 'visual'), ('mq', 'vq'))


def read_clips(spec):
    """The table of the clips that `spec` names: columns clip (path), source, caption, and whatever else a manifest has.

    spec: a folder, a manifest (.parquet, .csv or .jsonl with a column `clip`, relative to the manifest's folder, and optionally source,
    caption, motion and visual, or mq and vq), or several as 'name=path,name=path', whose names become the sources.
    Raises UserError for what is missing or impossible.
    """
    named = '=' in spec and not pathlib.Path(spec).expanduser().exists()
    parts = [part.rpartition('=') for part in spec.split(',')] if named else [('clips', '=', spec)]
    tables = [_read_one(pathlib.Path(path).expanduser(), name or 'clips') for name, _, path in parts]
    table = pa.concat_tables(tables, promote_options='default')
    for name in {'clip', 'id'} & set(table.column_names):
        _refuse_duplicates(table[name].drop_null().to_pylist(), spec)
    for name in RANGES.keys() & set(table.column_names):
        if table[name].null_count:
            raise UserError(f'config.data.clips={spec}: some sources have {name} and some do not; give it for all or for none')
    return table


def _read_one(path, source):
    if path.is_dir():
        return _from_folder(path, source)
    if not path.exists():
        raise UserError(f'config.data.clips: there is no folder or manifest {path}')
    if path.suffix not in READERS:
        raise UserError(f'config.data.clips: {path} is neither a folder nor a manifest ({", ".join(READERS)})')
    return _from_manifest(path, source)


def _from_folder(folder, source):
    clips = sorted(str(p) for p in folder.rglob('*') if p.suffix.lower() in ENDINGS and not p.name.startswith('.'))
    if not clips:
        raise UserError(f'config.data.clips: no video files ({", ".join(ENDINGS)}) under {folder}')
    return pa.table({'clip': clips, 'source': [source] * len(clips), 'caption': [''] * len(clips)})


def _from_manifest(path, source):
    try:
        table = READERS[path.suffix](path)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f'manifest {path} cannot be read: {str(error).splitlines()[0]}') from None
    if 'clip' not in table.column_names or not table.num_rows:
        raise UserError(f'manifest {path} needs a column `clip` and at least one row; '
                        f'it has {table.num_rows} rows and the columns {", ".join(table.column_names)}')
    names = table['clip'].to_pylist()
    for row, name in enumerate(names):
        if not isinstance(name, str) or not name:
            raise UserError(f'manifest {path}, row {row}: clip is {name!r}, not a path')
    columns = {name: table[name] for name in table.column_names}
    columns['clip'] = pa.array([str(path.parent / name) for name in names])
    for name, default in (('source', source), ('caption', '')):
        values = columns[name].to_pylist() if name in columns else [None] * len(names)
        columns[name] = pa.array([default if v is None else str(v) for v in values])
    _check_scores(path, columns)
    return pa.table(columns)


def _check_scores(path, columns):
    for one, other in PAIRS:
        if (one in columns) != (other in columns):
            raise UserError(f'manifest {path} has one of {one} and {other}; give both or neither')
    for name, (low, high) in RANGES.items():
        for row, value in enumerate(columns[name].to_pylist() if name in columns else ()):
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (number and math.isfinite(value) and low <= value <= high):
                allowed = 'a finite number' if math.isinf(low) else f'in [{low}, {high}]'
                raise UserError(f'manifest {path}, row {row}: {name} is {value!r}; it must be {allowed}')


def _refuse_duplicates(clips, spec):
    values, counts = np.unique(clips, return_counts=True)
    if (counts > 1).any():
        raise UserError(f'config.data.clips={spec}: {values[counts > 1][0]} is listed {counts.max()} times; list every clip once')
