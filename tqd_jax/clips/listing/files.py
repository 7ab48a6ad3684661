"""A file that lists clips as a table of text: CSV, JSON lines and JSON; nothing is taken for a number or a date."""
import csv
import dataclasses
import itertools
import json
import pathlib
from collections.abc import Iterable, Iterator, Mapping

import pyarrow as pa

from tqd_jax.clips.captions.parse import of_value
from tqd_jax.clips.captions.several import LISTS
from tqd_jax.clips.listing.encoding import delimiter_of, encoding_of, words_for
from tqd_jax.clips.listing.names import is_caption, is_clip, is_known, plain
from tqd_jax.clips.tables import PIECE

FIELD = 2**24  # characters of a value in a CSV, at most


class NoRows(ValueError):
    """JSON that is no list of rows."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Read:
    """A table as it was read. detected: its encoding and delimiter in words, '' where they are UTF-8 and commas."""
    table: pa.Table
    detected: str = ''


def read_text_table(path: str, ending: str, lists: Iterable[str] = ()) -> Read:
    """The Read of a local .csv, .tsv, .jsonl or .json file, all columns as text, null where a row lacks one.

    lists: further columns that may hold several captions; in JSON they, and those called like captions, are lists of texts.
    Raises ValueError where the file cannot be understood; the message names the row.
    """
    encoding = _encoding(path)
    with _opened(path, encoding) as text:
        if ending in ('.csv', '.tsv'):
            delimiter, names, rows = _csv_rows(text)
            return Read(table=_table(rows, frozenset(), names=names), detected=words_for(encoding, delimiter))
        rows = _json_rows(text) if ending == '.json' else _jsonl_rows(text)
        return Read(table=_table(rows, frozenset(lists), json_lists=True), detected=words_for(encoding))


def read_lines(path: str) -> list[str]:
    """The lines of a text file, blank ones too but for those at the end, without space around them."""
    with _opened(path, _encoding(path)) as text:
        return [line.strip() for line in text.read().removeprefix('\ufeff').rstrip().split('\n')]


def _encoding(path):
    with open(path, 'rb') as file:
        return encoding_of(file)


def _opened(path, encoding):
    return open(path, encoding=encoding, errors='replace' if encoding.startswith('utf') else 'strict', newline='')


def _csv_rows(text) -> tuple[str, list, Iterator[Mapping]]:
    """The delimiter of a CSV, the names of its columns, and its rows."""
    head = text.readline().removeprefix('\ufeff')
    delimiter = delimiter_of(head.rstrip('\r\n'), is_known)
    csv.field_size_limit(FIELD)
    reader = csv.reader(itertools.chain([head], (line.replace('\0', '') for line in text)), delimiter=delimiter, skipinitialspace=True)
    names = [name.strip() for name in next(reader, [])]
    if len(set(names)) < len(names):
        raise ValueError(f'has two columns of one name: {", ".join(names)}')
    return delimiter, names, _named_rows(reader, names)


def _named_rows(reader, names):
    number = 0
    try:
        for values in reader:
            if not values:
                continue
            if len(values) > len(names) and any(values[len(names):]):
                raise ValueError(f'row {number} has {len(values)} columns, and the header {len(names)}: put quotes around a value that has '
                                 'the sign between columns in it')
            yield dict(itertools.zip_longest(names, values[:len(names)], fillvalue=''))
            number += 1
    except csv.Error as error:
        raise ValueError(f'row {number}: {error}') from None


def _jsonl_rows(text):
    """The rows of JSON lines; of a file that is one list, those of the list."""
    first = text.readline().removeprefix('\ufeff')
    if first.lstrip().startswith('['):
        yield from _rows_of(_parsed(first + text.read(), 'the file'))
        return
    number = 0
    for line in itertools.chain([first], text):
        if line.strip():
            row = _parsed(line, f'row {number}')
            if not isinstance(row, dict):
                raise ValueError(f'row {number} is no object, such as {{"clip": "a.mp4", "caption": "..."}}')
            yield row
            number += 1


def _json_rows(text):
    return iter(_rows_of(_parsed(text.read().removeprefix('\ufeff'), 'the file')))


def _parsed(text, where):
    try:
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except ValueError as error:
        raise ValueError(f'{where} is not JSON: {error}') from None


def _rows_of(data) -> list[Mapping]:
    """Rows of a .json file: a list of objects, an object with one, or {file: caption or captions or object}."""
    if isinstance(data, dict):
        lists = [value for value in data.values() if isinstance(value, list) and value and all(isinstance(row, dict) for row in value)]
        if len(lists) == 1 and not all(pathlib.PurePosixPath(name).suffix for name in data):
            return _rows_of(lists[0])
        if any(is_clip(name) for name in data) and not any(isinstance(value, dict) for value in data.values()):
            return [data]
        return [{**value, 'clip': name} if isinstance(value, dict) else {'clip': name, 'caption': value} for name, value in data.items()]
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise NoRows('a row is no object: rows are [{"clip": "a.mp4", "caption": "..."}, ...], or {"a.mp4": "..."}')
    return data


def _table(rows, lists, json_lists=False, names=()) -> pa.Table:
    """The table of rows, a piece at a time."""
    pieces, schema = [], {}
    rows = iter(rows)
    while piece := list(itertools.islice(rows, PIECE)):
        found = dict.fromkeys(name for row in piece for name in row)
        columns = {}
        for name in found:
            may_be_list = json_lists and (is_caption(name) or name in lists)
            values = [row.get(name) for row in piece]
            columns[name] = pa.array(map(_list, values), LISTS) if may_be_list else pa.array(map(_text, values), pa.string())
        stripped = {name.strip('\ufeff \t'): column for name, column in columns.items()}
        pieces.append(pa.table(stripped))
        schema |= {name: column.type for name, column in stripped.items()}
    if not pieces:
        return pa.table({name: pa.array([], pa.string()) for name in names})
    return pa.concat_tables(pieces, promote_options='default')


def _list(value):
    """A value of JSON that may be several captions, as their list."""
    if value is None or isinstance(value, str | bool):
        return None if value is None else [_text(value)]
    plain_texts = isinstance(value, list) and all(isinstance(one, str | None) for one in value)
    return [one for one in value if one is not None] if plain_texts else of_value(value)


def _text(value):
    """A value of JSON as text: numbers as they are written."""
    if isinstance(value, dict):  # as Hugging Face writes a file that lies elsewhere
        inside = next((value[name] for name in value if plain(name) in ('path', 'file_name', 'src') and isinstance(value[name], str)), None)
        return inside if inside is not None else json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return _text(value[0]) if len(value) == 1 else json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return 'true' if value else 'false'
    return value
