"""Files of scores -> one Arrow table: CSV, JSON lines, JSON and Parquet, structs unpacked, long texts left unread."""
import collections
import csv
import json

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from tqd_jax.clips.listing.csv_rows import csv_rows
from tqd_jax.clips.listing.encoding import delimiter_of, encoding_of
from transfer_jax.runtime.errors import UserError

ENDINGS = ('.parquet', '.csv', '.jsonl', '.json')
PIECE = 8192  # rows of a column that are Python values at a time
BLOCK = 2**24  # bytes of text parsed at a time: a row of JSON may not be longer


def read_files(path, texts, plain=()):
    """The numeric columns of a file, or of all files of one kind in a folder, and the columns `texts` whatever they hold.

    plain: those of `texts` that are text whatever they look like. Columns of structs are named 'struct.column'. Raises UserError where
    there is nothing to read, or what is there cannot be.
    """
    paths = sorted(file for file in path.iterdir() if file.suffix in ENDINGS) if path.is_dir() else [path]
    kinds = {file.suffix for file in paths}
    if not path.exists() or len(kinds) != 1 or not kinds <= set(ENDINGS):
        raise UserError(f'scores {path}: there is no such file, nor a folder of files of one kind ({", ".join(ENDINGS)})')
    try:
        parts = [_records(paths)] if kinds == {'.json'} else [READERS[path.suffix](path, texts, plain) for path in paths]
        table = pa.concat_tables([_unpack(part, texts) for part in parts], promote_options='permissive')
        if parts[0].num_rows and not table.num_columns:
            raise _no_numbers(parts[0].column_names)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f'scores {path} cannot be read: {first_line(error)}') from None
    if not table.num_rows:
        raise UserError(f'scores {path} has no rows')
    return table


def is_number(kind):
    """Whether a type is of numbers or truth values."""
    return any(test(kind) for test in (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal))


def pieces(column):
    """The arrays of an Arrow column, at most PIECE rows each: what may become Python values at a time."""
    for chunk in column.chunks:
        for first in range(0, len(chunk), PIECE):
            yield chunk.slice(first, PIECE)


def first_line(error):
    """The first line of an exception's text."""
    return (str(error).splitlines() or [''])[0]


def refuse_duplicates(clips, where):
    """Raises UserError, which begins with `where`, if an Arrow column of clips lists one of them twice."""
    counted = pc.value_counts(clips)
    most = pc.max(counted.field('counts')).as_py()
    if most is not None and most > 1:
        row = pc.index(counted.field('counts'), most).as_py()
        raise UserError(f'{where}: {counted.field("values")[row]} is listed {most} times; list every clip once')


def _no_numbers(names):
    return ValueError(f'no column of numbers, nor one that a known tool writes, but only {", ".join(names)}')


def _csv(path, texts, plain):
    """The columns of a CSV that somebody reads. Raises ValueError, with the row, where a quote is not closed."""
    with open(path, 'rb') as file:
        encoding = encoding_of(file)
    encoding = 'latin-1' if encoding == 'utf_8' else encoding  # pyarrow refuses bytes that are no letters
    try:
        table = _parsed(path, encoding, texts, plain)
    except pa.ArrowInvalid:
        _check_quotes(path, encoding)
        raise
    with open(path, 'rb') as file:
        if sum(block.count(b'\n') for block in iter(lambda: file.read(BLOCK), b'')) > table.num_rows + 1:  # values of several lines
            _check_quotes(path, encoding)
    return table


def _parsed(path, encoding, texts, plain):
    with open(path, encoding=encoding, newline='') as file:
        head = file.readline(2**20).removeprefix('\ufeff').rstrip('\r\n')
    delimiter = delimiter_of(head, lambda name: name.strip() in texts)
    parse = pa.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    types = {name: pa.string() for name in _names(head, delimiter) if name.strip() in plain}
    read = lambda **options: pa.csv.ReadOptions(encoding='utf-8' if encoding == 'utf-8-sig' else encoding, **options)
    with pa.csv.open_csv(path, read(), parse) as reader:  # its first block tells which columns are texts
        names = [field.name for field in reader.schema if field.name.strip() in texts or not pa.types.is_string(field.type)]
    if not names:
        raise _no_numbers(reader.schema.names)
    convert = pa.csv.ConvertOptions(include_columns=names, column_types=types, strings_can_be_null=True)
    table = pa.csv.read_csv(path, read(block_size=BLOCK), parse, convert)
    return table.rename_columns([name.strip() for name in names])


def _check_quotes(path, encoding):
    """Raises ValueError, with the row, where a quote is not closed: Arrow takes all rows up to the next one for one value."""
    with open(path, encoding=encoding, newline='') as file:
        collections.deque(csv_rows(file)[2], maxlen=0)


def _names(head, delimiter):
    """The names of a CSV's header, as they stand there."""
    return next(csv.reader([head], delimiter=delimiter), [])


def _jsonl(path, texts, plain):
    with open(path, 'rb') as file:
        first = json.loads(file.readline().removeprefix(b'\xef\xbb\xbf') or b'{}')
    fields = [(name, pa.string()) for name in first if name in plain and isinstance(first[name], str)]  # no text is taken for a date
    parse = pa.json.ParseOptions(explicit_schema=pa.schema(fields), unexpected_field_behavior='infer')
    try:
        return pa.json.read_json(path, pa.json.ReadOptions(block_size=BLOCK), parse)
    except pa.ArrowInvalid:
        return _mixed(path, texts)


def _mixed(path, texts):
    """The columns of JSON lines, without those of several types that nobody reads. Raises pa.ArrowInvalid where somebody reads one."""
    rows, columns = [json.loads(line) for line in path.read_text('utf-8').splitlines() if line.strip()], {}
    for name in dict.fromkeys(name for row in rows for name in row):
        try:
            columns[name] = pa.array([row.get(name) for row in rows])
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            if name in texts:
                raise
    return pa.table(columns)


def _parquet(path, texts, plain):
    fields = pa.parquet.read_schema(path)
    return pa.parquet.read_table(path, columns=[field.name for field in fields if pa.types.is_struct(field.type) or _counts(field, texts)])


READERS = {'.parquet': _parquet, '.csv': _csv, '.jsonl': _jsonl}


def _records(paths):
    rows = [row for path in paths for row in _rows(json.loads(path.read_text('utf-8')))]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError('a row is no object: rows are [{"name": value, ...}, ...]')
    return pa.table({name: [row.get(name) for row in rows] for name in dict.fromkeys(name for row in rows for name in row)})


def _rows(data):
    """Rows of a .json file: a list of them, a single one, or VBench's {dimension: [mean, [{video_path, video_results}, ...]]}."""
    if not isinstance(data, dict):
        return data if isinstance(data, list) else [data]
    if not all(isinstance(value, list) and len(value) == 2 and isinstance(value[1], list) for value in data.values()):
        return [data]
    rows = {}
    for dimension, (_, videos) in data.items():
        for video in videos:
            if not isinstance(video, dict) or not {'video_path', 'video_results'} <= video.keys():
                raise ValueError(f'a video of {dimension} has no video_path and video_results')
            rows.setdefault(video['video_path'], {'video_path': video['video_path']})[dimension] = video['video_results']
    return list(rows.values())


def _unpack(table, texts):
    while any(pa.types.is_struct(field.type) for field in table.schema):
        table = table.flatten()
    if twice := [name for name in dict.fromkeys(table.column_names) if table.column_names.count(name) > 1]:
        raise ValueError(f'two columns are named {twice[0]}')
    return pa.table({field.name: _plain(table[field.name]) for field in table.schema if _counts(field, texts)})


def _plain(column):
    """Texts as one type, however the file's writer kept them."""
    text_types = (pa.types.is_large_string, pa.types.is_string_view, pa.types.is_dictionary)
    return column.cast(pa.string()) if any(test(column.type) for test in text_types) else column


def _counts(field, texts):
    return field.name in texts or (field.name != '' and is_number(field.type))  # pandas leaves the name of its index empty
