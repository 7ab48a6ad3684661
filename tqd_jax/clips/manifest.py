"""Which clips there are: a folder searched recursively, a manifest, a list or one file, here or elsewhere, as one checked table."""
import collections
import math
import os
import pathlib
import re

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from tqd_jax.clips import places
from tqd_jax.clips.tables import TEXTS, text_fault
from transfer_jax.runtime.errors import UserError

MAX_BYTES = 2**33  # of a manifest that is fetched
RANGES = {'motion': (-math.inf, math.inf), 'visual': (-math.inf, math.inf), 'mq': (0, 1), 'vq': (0, 1)}
PAIRS = (('motion', 'visual'), ('mq', 'vq'))
NAMED = re.compile(r'[^,=/:]+=')  # how a source begins; its path may have commas and signs of equality of its own


def read_clips(spec: str, flag: str = 'config.data.clips') -> pa.Table:
    """The table of clips_and_others alone."""
    return clips_and_others(spec, flag)[0]


def left_out(others):
    """Lines for the user on {ending: files} that clips_and_others left out."""
    return [f'not searched: {count} {kind}' if kind == places.LOCKED else
            f'left out, no videos by their ending: {count} {kind or "without one"}' for kind, count in sorted(others.items())]


def clips_and_others(spec, flag='config.data.clips'):
    """(table, {ending: files in the folders that are none by it}) of the clips that `spec` names, each folder walked once.

    The table's columns are clip (path), source, caption, and whatever else a manifest has.

    spec: a folder, a manifest (.parquet, .csv or .jsonl with a column `clip`, relative to the manifest's folder, and optionally source,
    caption, motion and visual, or mq and vq), a list (.txt, a path a line; '#' begins a remark, './#' a name), one video, or several of
    them as 'name=path,name=path', whose names become the sources. All of them, and the clips, may be URLs: see tqd_jax.clips.places, also
    for names that are not UTF-8. A URL is a folder unless its ending says otherwise. Raises UserError, which says `flag`, for what is
    missing or impossible.
    """
    named = NAMED.match(spec) and not os.path.exists(_here(spec))
    parts = [part.split('=', 1) for part in re.split(rf',(?={NAMED.pattern})', spec)] if named else [('clips', spec)]
    others = collections.Counter()
    tables = [_read_one(_here(path), name, flag, others) for name, path in parts]
    try:
        table = pa.concat_tables(tables, promote_options='permissive')
    except pa.ArrowException as error:
        raise UserError(f'{flag}={spec}: the sources have columns of one name and different types: {_said(error)}') from error
    _refuse_duplicates(table['clip'], f'{flag}={spec}')
    reasons = table['reason'].null_count if 'reason' in table.column_names else len(table)
    for name in RANGES.keys() & set(table.column_names):
        if table[name].null_count > len(table) - reasons:
            raise UserError(f'{flag}={spec}: some sources have {name} and some do not; give it for all or for none')
    places.check_protocols(table['clip'].to_pylist())
    return table, dict(others)


def _here(path):
    return path if places.is_remote(path) else str(pathlib.Path(places.as_local(path)).expanduser())


def _read_one(path, source, flag, left):
    """The table of one source; what its folder has else is added to the Counter `left`."""
    ending = places.ending(path)
    if os.path.isdir(path) or (places.is_remote(path) and ending not in {*READERS, *places.ENDINGS}):
        table, others = _from_folder(path, source, flag)
        left.update(others)
        return table
    if not places.is_remote(path) and not os.path.lexists(path):
        raise UserError(f'{flag}: there is no folder or manifest {path}')
    if ending in places.ENDINGS:
        return _of([path], source)
    if ending not in READERS:
        raise UserError(f'{flag}: {path} is neither a folder, nor a manifest ({", ".join(READERS)}), nor a video by its ending')
    return _from_manifest(path, source)


def _of(clips, source):
    return pa.table({'clip': [places.as_text(clip) for clip in clips], 'source': [source] * len(clips), 'caption': [''] * len(clips)})


def _from_folder(folder, source, flag):
    clips, others = places.find_clips(folder)
    if not clips:
        seen = ', '.join(f'{count} {ending or "without an ending"}' for ending, count in sorted(others.items())) or 'no others'
        raise UserError(f'{flag}: no video files ({", ".join(places.ENDINGS)}) under {folder}; it has {seen}')
    return _of(clips, source), others


def _from_manifest(path, source):
    table = _table(path)
    if len(set(table.column_names)) < len(table.column_names):
        raise UserError(f'manifest {path} has two columns of one name: {", ".join(table.column_names)}')
    if 'clip' not in table.column_names or not table.num_rows:
        raise UserError(f'manifest {path} needs a column `clip` and at least one row; '
                        f'it has {table.num_rows} rows and the columns {", ".join(table.column_names)}')
    names = [os.fsdecode(name) if isinstance(name, bytes) else name for name in table['clip'].to_pylist()]
    for row, name in enumerate(names):
        if not isinstance(name, str) or not name:
            raise UserError(f'manifest {path}, row {row}: clip is {name!r}, not a path')
    columns = {name: table[name] for name in table.column_names}
    folder = places.parent(path)
    columns['clip'] = pa.array([places.as_text(places.join(folder, name)) for name in names])
    for name, default in (('source', source), ('caption', '')):
        values = columns[name].to_pylist() if name in columns else [None] * len(names)
        columns[name] = pa.array([default if v is None else _text(path, row, name, v) for row, v in enumerate(values)])
    _check_scores(path, columns)
    return pa.table(columns)


def _text(path, row, name, value):
    """A value as text; a column of a CSV that is not UTF-8 comes as bytes."""
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
        raise UserError(f'manifest {path} cannot be read: {_said(error)}') from None


def _listed(file):
    """The table of a list: a path a line, each as it is but for the end of the line; lines that begin with '#' are remarks."""
    lines = file.read().removeprefix(b'\xef\xbb\xbf').splitlines()
    return pa.table({'clip': pa.array([line for line in lines if line and not line.startswith(b'#')], pa.binary())})


READERS = {'.parquet': pa.parquet.read_table, '.csv': pa.csv.read_csv, '.jsonl': pa.json.read_json, '.txt': _listed}


def _check_scores(path, columns):
    for one, other in PAIRS:
        if (one in columns) != (other in columns):
            raise UserError(f'manifest {path} has one of {one} and {other}; give both or neither')
    reasons = columns['reason'].to_pylist() if 'reason' in columns else [None] * len(columns['clip'])
    for name, (low, high) in RANGES.items():
        for row, value in enumerate(columns[name].to_pylist() if name in columns else ()):
            if reasons[row] is not None and value is None:
                continue  # a scores.parquet says why a clip has none
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (number and math.isfinite(value) and low <= value <= high):
                allowed = 'a finite number' if math.isinf(low) else f'in [{low}, {high}]'
                raise UserError(f'manifest {path}, row {row}: {name} is {value!r}; it must be {allowed}')


def _refuse_duplicates(column, where):
    counted = pa.compute.value_counts(column)
    most = pa.compute.max(counted.field('counts')).as_py()
    if most is not None and most > 1:
        row = pa.compute.index(counted.field('counts'), most).as_py()
        raise UserError(f'{where}: {counted.field("values")[row]} is listed {most} times; list every clip once')


def _said(error):
    return (str(error).splitlines() or [''])[0]
