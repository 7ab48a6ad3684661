"""Files of scores -> one Arrow table: CSV, JSON lines, JSON and Parquet, structs unpacked, long texts left unread."""
import codecs
import json
import re

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from transfer_jax.runtime.errors import UserError

ENDINGS = ('.parquet', '.csv', '.jsonl', '.json')
TEXTS = ('.csv', '.jsonl', '.txt')  # the kinds that text_fault looks at
PIECE = 8192  # rows of a column that are Python values at a time
BLOCK = 2**24  # bytes of text parsed at a time: a row of JSON may not be longer


def read_files(path, texts):
    """The numeric columns of a file, or of all files of one kind in a folder, and the columns `texts` whatever they hold.

    Columns of structs are named 'struct.column'. Raises UserError where there is nothing to read, or what is there cannot be.
    """
    paths = sorted(file for file in path.iterdir() if file.suffix in ENDINGS) if path.is_dir() else [path]
    kinds = {file.suffix for file in paths}
    if not path.exists() or len(kinds) != 1 or not kinds <= set(ENDINGS):
        raise UserError(f'scores {path}: there is no such file, nor a folder of files of one kind ({", ".join(ENDINGS)})')
    try:
        parts = [_records(paths)] if kinds == {'.json'} else [READERS[path.suffix](path, texts) for path in paths]
        table = pa.concat_tables([_unpack(part, texts) for part in parts], promote_options='permissive')
        if parts[0].num_rows and not table.num_columns:
            raise _no_numbers(parts[0].column_names)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f'scores {path} cannot be read: {first_line(error)}') from None
    if not table.num_rows:
        raise UserError(f'scores {path} has no rows')
    return table


def text_fault(file, ending):
    """Why a binary file of text, at its beginning, cannot be understood: it is UTF-16, or a CSV without commas. None where it can be."""
    head = file.read(2**16)
    file.seek(0)
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return 'it is UTF-16: save it as UTF-8'
    mark = re.match(rb'[^\r\n,]*?([;\t])[^\r\n,]*[\r\n]', head) if ending == '.csv' else None
    names = {b';': ';', b'\t': 'tabs'}
    return f'its columns are separated by {names[mark[1]]}: separate them by commas' if mark else None


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


def _csv(path, texts):
    with open(path, 'rb') as file:
        if fault := text_fault(file, '.csv'):
            raise ValueError(fault)
    parse = pa.csv.ParseOptions(newlines_in_values=True)
    with pa.csv.open_csv(path, parse_options=parse) as reader:  # its first block tells which columns are texts
        names = [field.name for field in reader.schema if field.name.strip() in texts or not pa.types.is_string(field.type)]
    if not names:
        raise _no_numbers(reader.schema.names)
    convert = pa.csv.ConvertOptions(include_columns=names, strings_can_be_null=True)
    table = pa.csv.read_csv(path, pa.csv.ReadOptions(block_size=BLOCK), parse, convert)
    return table.rename_columns([name.strip() for name in names])


def _jsonl(path, texts):
    return pa.json.read_json(path, pa.json.ReadOptions(block_size=BLOCK))


def _parquet(path, texts):
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
