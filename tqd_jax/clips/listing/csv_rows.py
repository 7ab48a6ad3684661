"""The rows of a CSV; a quote that opens and is not closed takes no other row into its value."""
import csv
import itertools
import os
from collections.abc import Iterator, Mapping

from tqd_jax.clips.archives.listing import ENDINGS
from tqd_jax.clips.listing.encoding import DELIMITERS, delimiter_of
from tqd_jax.clips.listing.names import is_known
from transfer_jax.runtime.counts import counted

FIELD = 2**24  # characters of a value, at most
OPEN = 'a quote opens a value and does not close it within its row: write a quote within a value twice, and one before and after the value'


def csv_rows(text) -> tuple[str, list, Iterator[Mapping]]:
    """The delimiter of a CSV, an open text file, the names of its columns, and its rows.

    Blank lines above the header, Excel's line sep=; and rows without a value are skipped; columns without a name are left out, and so is a
    column that nobody reads where one before it has its name. Raises ValueError, for a row while rows are read, where values cannot be told
    apart.
    """
    head = _filled(text).removeprefix('\ufeff')
    stated = head.strip().strip('"')[4:] if head.lstrip('"').lower().startswith('sep=') else ''
    head = _filled(text) if stated else head
    delimiter = stated if stated in DELIMITERS else delimiter_of(head.rstrip('\r\n'), is_known)
    csv.field_size_limit(FIELD)
    records = _records(itertools.chain([head], text), delimiter)
    names = _once([name.strip() for name in next(records, [])])
    named = [name for name in names if name]
    return delimiter, named, _named_rows(records, names)


def _filled(text):
    return next((line for line in text if line.strip()), '')


def _once(names):
    """The names, '' in place of one that was there before. Raises ValueError where that is a column that is read."""
    again = [name in names[:place] for place, name in enumerate(names)]
    if any(is_known(name) for name, twice in zip(names, again, strict=True) if twice):
        raise ValueError(f'has two columns of one name: {", ".join(filter(None, names))}')
    return ['' if twice else name for name, twice in zip(names, again, strict=True)]


def _named_rows(records, names):
    number = 0
    try:
        for values in records:
            if not any(value.strip() for value in values):
                continue
            if len(values) > len(names) and any(values[len(names):]):
                raise ValueError(f'row {number} has {counted(len(values), "column")}, and the header {len(names)}: put quotes '
                                 'around a value that has '
                                 'the sign between columns in it')
            row = dict(itertools.zip_longest(names, values[:len(names)], fillvalue=''))
            row.pop('', None)
            yield row
            number += 1
    except csv.Error as error:
        raise ValueError(f'row {number}: {error}') from None


class _Lines:
    """An iterator of lines that keeps those of one record."""

    def __init__(self, lines):
        self.lines, self.record = lines, []

    def __iter__(self):
        return self

    def __next__(self):
        line = next(self.lines).replace('\0', '')
        self.record.append(line)
        return line


def _records(text, delimiter):
    """The lists of values of the records of a CSV, its header first. Raises csv.Error."""
    lines, width = _Lines(text), 0
    reader = _reader(lines, delimiter, strict=True)
    while True:
        lines.record.clear()
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error:
            values = _loose(lines.record, delimiter, width)
        if len(lines.record) > 1 and _holds_another(lines.record, values, delimiter):
            raise csv.Error(OPEN)
        width = width or len(values)
        yield values


def _reader(lines, delimiter, **options):
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=True, **options)


def _loose(record, delimiter, width):
    """The values of a line whose quotes are no quotes of a CSV: as they stand where that gives as many as the header has."""
    if len(record) > 1:
        raise csv.Error(OPEN)
    plain = next(_reader(record, delimiter, quoting=csv.QUOTE_NONE))
    return plain if len(plain) == width else next(_reader(record, delimiter))


def _holds_another(record, values, delimiter):
    """Whether a later line of a record of several is a row of its own: as many values, and another video in the same place."""
    video = lambda value: os.path.splitext(value)[1].lower() in ENDINGS
    rows = (next(_reader([line], delimiter), []) for line in record[1:])
    return any(len(row) == len(values) and any(a != b and video(a) and video(b) for a, b in zip(row, values, strict=True)) for row in rows)
