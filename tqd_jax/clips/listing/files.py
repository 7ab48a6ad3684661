"""A file that lists clips as a table of text: CSV, JSON lines and JSON; nothing is taken for a number or a date."""
import dataclasses
import itertools
import json
import pathlib
from collections.abc import Iterable, Mapping

import pyarrow as pa

from tqd_jax.clips.captions.parse import loads, of_value
from tqd_jax.clips.captions.several import LISTS
from tqd_jax.clips.listing.csv_rows import csv_rows
from tqd_jax.clips.listing.encoding import encoding_of, words_for
from tqd_jax.clips.listing.names import is_caption, is_clip, plain
from tqd_jax.clips.tables import PIECE


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
            delimiter, names, rows = csv_rows(text)
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
    """The rows of JSON; of JSON lines too, which some writers call so."""
    first = text.readline()
    several = first.strip().endswith('}') and any(line.strip() for line in text)
    text.seek(0)
    if several and _is_object(first):
        return _jsonl_rows(text)
    return iter(_rows_of(_parsed(text.read().removeprefix('\ufeff'), 'the file')))


def _is_object(text):
    try:
        return isinstance(json.loads(text.removeprefix('\ufeff')), dict)
    except ValueError:
        return False


def _parsed(text, where):
    try:
        return loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except ValueError as error:
        raise ValueError(f'{where} is not JSON: {error}') from None


def _rows_of(data) -> list[Mapping]:
    """Rows of a .json file: a list of objects, an object with one, or {file: caption or captions or object}."""
    if isinstance(data, dict):
        lists = [value for value in data.values() if isinstance(value, list) and value and all(isinstance(row, dict) for row in value)]
        if len(lists) == 1 and not all(pathlib.PurePosixPath(name).suffix for name in data):
            return _rows_of(lists[0])
        if len(lists) > 1 and any(map(is_clip, itertools.chain.from_iterable(rows[0] for rows in lists))):
            raise NoRows(f'it has several lists of rows, {", ".join(map(str, data))[:200]}: write one, with a clip and its caption a row')
        if any(is_clip(name) for name in data) and not any(isinstance(value, dict) for value in data.values()):
            return [data]
        return [_of_name(name, value) for name, value in data.items()]
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise NoRows('a row is no object: rows are [{"clip": "a.mp4", "caption": "..."}, ...], or {"a.mp4": "..."}')
    return data


def _of_name(name, value):
    """The row of one entry of {name: value}: the name is the clip, unless it is no file's and the value says which file it is."""
    if not isinstance(value, dict):
        return {'clip': name, 'caption': value}
    return value if not pathlib.PurePosixPath(name).suffix and any(map(is_clip, value)) else {**value, 'clip': name}


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
