"""One file that lists clips, a manifest or a list, as a table: whole paths, texts, and scores that are finite and in range."""
import math
import os

import pyarrow as pa
import pyarrow.compute as pc

from tqd_jax.clips import places
from tqd_jax.clips.captions import several
from tqd_jax.clips.captions.opened import beside_named
from tqd_jax.clips.listing import names as columns_named
from tqd_jax.clips.listing.files import NoRows, Read, read_text_table
from tqd_jax.clips.listing.found import Found, NoTable
from tqd_jax.clips.listing.parallel import is_video_list, parallel, prompts_of
from tqd_jax.clips.listing.parquet import parquet_table
from tqd_jax.clips.listing.paths import folder_of_paths, missing_line, whole_paths
from tqd_jax.clips.listing.texts import as_text, blank_as_null, numbers_of, repeated
from tqd_jax.clips.tables import first_line
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError

MAX_BYTES = 2**33  # of a manifest that is fetched
RANGES = {'motion': (-math.inf, math.inf), 'visual': (-math.inf, math.inf), 'mq': (0, 1), 'vq': (0, 1)}
PAIRS = (('motion', 'visual'), ('mq', 'vq'))
TEXTS = ('clip', 'caption', 'source', 'source_own', 'id', 'fingerprint', 'scorer_version', 'reason',
         'dynamic_range')  # of the scorer's tables, as in a CSV
ENDINGS = ('.parquet', '.csv', '.tsv', '.jsonl', '.json', '.txt')


def read_manifest(path, source, *, named=False, several=False, columns=None):
    """The Found of a manifest or a list: clip (whole paths), source and caption as text, scores as numbers, its other columns as they are.

    source: of rows that have none. named: the user gave that name, so all rows have it, and a column `source` stays as `source_own`,
    unless there is one already, of an earlier pass.
    several: other clips stand beside these, so mq and vq of a scores.parquet, ranks within that library, are left out.
    columns: {field: column} of what the user calls otherwise.
    Raises UserError, which names the row, where a value is impossible.
    """
    found = read_columns(path, columns)
    table, ranks = found.table, ('mq', 'vq') if several and 'scorer_version' in found.table.column_names else ()
    table = table.drop_columns([name for name in ranks if name in table.column_names])
    if named and 'source' in table.column_names:
        own = table['source']
        table = table.drop_columns(['source'])
        table = table if 'source_own' in table.column_names else table.append_column('source_own', own)
    values = table['source'] if 'source' in table.column_names else repeated(None, len(table))
    table = _with(table, {'source': pc.fill_null(as_text(path, 'source', values), source)})
    check_scores(path, table)
    return found.replace(table=table)


def read_columns(path, columns=None) -> Found:
    """The Found of a manifest, its columns called clip, caption, captions and so on, whatever the file calls them."""
    read = _parallel(path) or _read(path, columns or {})
    table, where = read.table, f'manifest {path}'
    if len(set(table.column_names)) < len(table.column_names):
        raise UserError(f'{where} has two columns of one name: {", ".join(table.column_names)}')
    called = columns_named.find(table.column_names, columns or {}, where)
    if 'clip' not in called or not table.num_rows:
        head = any(places.ending(name) in places.ENDINGS for name in table.column_names)
        hint = 'its first line names a clip: write the names of columns above it' if head else \
            '--columns=clip=NAME or config.data.columns names another'
        raise NoTable(f'{where} needs a column `clip` (or {", ".join(columns_named.CLIP[1:9])} ...) and at least one row; '
                      f'it has {counted(table.num_rows, "row")} and the columns {", ".join(table.column_names)[:300]}; {hint}')
    renamed = {name: field for field, name in called.items()}
    ours = 'scorer_version' in table.column_names
    others = {name: table[name] for name in table.column_names if name not in renamed and name not in (*called, 'captions')}
    clip = called['clip']
    folder = folder_of_paths(path, table[clip])
    paths = whole_paths(path, table[clip], folder, bare=columns_named.plain(clip) in columns_named.BARE)
    texts, origins = _captions(path, table, called), {}
    if not ours and 'caption' not in called:
        lists, origins = _samples(path, table)
        lists, origins = (lists, origins) if origins else beside_named(paths.combine_chunks())
        texts = several.columns_of(lists)
    fields = {field: table[name] for name, field in renamed.items() if field not in ('clip', 'caption')}
    fields = {'clip': paths, **fields, **texts, **others}
    for field in fields:
        if field in RANGES or (ours and field not in TEXTS):
            fields[field] = numbers_of(path, field, fields[field], must=field in RANGES)
        elif ours and field in TEXTS[4:]:
            fields[field] = blank_as_null(fields[field])  # a CSV has no other null
    lines = [f'{path}: read as {read.detected}'] if read.detected else []
    lines += [f'{path}: {field} is column {name!r}' for field, name in called.items() if name != field]
    lines += [f'{path}: its paths are seen from the working directory'] if folder != places.parent(path) else []
    lines += [] if ours else missing_line(path, paths)
    whole = pa.table(fields)
    if not ours and not RANGES.keys() & fields.keys():
        whole, more = _one_row_a_clip(path, whole)
        lines += more
    return Found(table=whole, lines=tuple(lines), origins=origins or _origins(path, whole, called),
                 unread=_unread(path, {name: fields[name] for name in others}))


def _captions(path, table, called):
    """{'caption': ..., 'captions': lists where a clip has several}; a table that has both has the first and all of them."""
    name = called.get('caption')
    if name is None:
        return several.columns_of(several.none(len(table)))
    plain_captions = next((own for own in table.column_names if own == 'captions' and pa.types.is_list(table[own].type)), None)
    texts = table[name] if pa.types.is_nested(table[name].type) else as_text(path, 'caption', table[name])
    if plain_captions and name != plain_captions:
        return several.columns_of(several.prefer(several.lists_of(table[plain_captions]), several.lists_of(texts)))
    if pa.types.is_string(texts.type):
        blank = pc.equal(pc.utf8_trim_whitespace(pc.fill_null(texts, '')), '')
        return {'caption': pc.if_else(blank, '', texts)}
    return several.columns_of(several.lists_of(texts))


def _samples(path, table):
    """(lists of captions, {where they come from: clips}) of a column of webdataset's .json."""
    lists = several.of_samples(table['json']) if 'json' in table.column_names else several.none(len(table))
    count = pc.sum(pc.greater(pc.list_value_length(lists), 0)).as_py()
    return lists, {f"{path}, column 'json'": count} if count else {}


def _one_row_a_clip(path, table):
    """(the table with one row a clip, lines for the user): rows of one clip with captions of their own are its several captions."""
    again = len(table) - pc.count_distinct(table['clip']).as_py()
    if not again:
        return table, []
    lists = several.lists_of(table['captions'] if 'captions' in table.column_names else table['caption'])
    if 'captions' in table.column_names:
        lists = several.prefer(lists, several.lists_of(table['caption']))
    if pc.min(pc.list_value_length(lists)).as_py() == 0:  # listed again without a caption: a mistake, which refuse_duplicates names
        return table, []
    rows, lists = several.of_one_clip(table['clip'], lists)
    columns = several.columns_of(lists)
    return _with(table.take(pa.array(rows)), columns), [
        f'{path}: {counted(again, "row lists", "rows list")} a clip again: its captions are several of one clip']


def _origins(path, texts, called):
    """{where the captions come from: how many}."""
    count = pc.sum(pc.not_equal(texts['caption'], '')).as_py() or 0
    column = called.get('caption', 'caption')
    return {path if column == 'caption' else f'{path}, column {column!r}': count} if count else {}


def _unread(path, others):
    """Columns of text that may be captions, for the user."""
    text = [name for name, values in others.items() if pa.types.is_string(values.type) or pa.types.is_list(values.type)]
    return tuple(f'column {name!r} of {path}' for name in text if name not in TEXTS)


def _parallel(path) -> Read | None:
    """The Read of a local list of videos that has a list of their captions beside it, line by line; None of others."""
    folder = places.parent(path)
    if places.is_remote(path) or not is_video_list(path):
        return None
    other = prompts_of(path, [os.path.join(folder, name) for name in os.listdir(folder or '.')])
    return other and Read(table=parallel(path, other))


def _read(path, columns) -> Read:
    ending = places.ending(path)
    try:
        with places.local_copy(path, MAX_BYTES) as local:
            if ending == '.parquet':
                return Read(table=parquet_table(local, path, columns))
            caption = {field: name for field, name in columns.items() if field == 'caption'}
            return _read_list(local) if ending == '.txt' else read_text_table(local, ending, caption.values())
    except NoRows as error:
        raise NoTable(f'manifest {path} cannot be read: {error}') from None
    except (pa.ArrowException, OSError, ValueError, places.BadClip) as error:
        raise UserError(f'manifest {path} cannot be read: {first_line(error)[:300]}') from None


def _read_list(local):
    """The Read of a list: a path a line, each as it is but for the end of the line; lines that begin with '#' are remarks."""
    with open(local, 'rb') as file:
        data = file.read()
    detected = ''
    if data[:2] in (b'\xff\xfe', b'\xfe\xff'):
        data, detected = data.decode('utf-16').encode(), 'UTF-16'
    lines = data.removeprefix(b'\xef\xbb\xbf').splitlines()
    clips = pa.array([line for line in lines if line and not line.startswith(b'#')], pa.binary())
    return Read(table=pa.table({'clip': clips}), detected=detected)


def _with(table, columns):
    """The table with these columns, in place of its own of their names."""
    kept = {name: table[name] for name in table.column_names if name not in columns}
    return pa.table(kept | columns)


def check_scores(path, table):
    """Raises UserError, naming the row, where a manifest's own scores are not a pair of axes or not finite numbers in their range."""
    columns = {name: table[name] for name in table.column_names}
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
