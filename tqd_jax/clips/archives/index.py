"""The index of an archive: where each member lies. Read once, held flat, and kept on this machine for every process that wants it."""
import bisect
import functools
import hashlib
import json
import os
import pathlib
import re
import secrets
import tempfile

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc

from tqd_jax.clips.archives.entries import Entry, Faults, tar_entries, zip_entries
from tqd_jax.clips.archives.source import Unreadable, source_of, summary
from tqd_jax.clips.captions.parse import ENDINGS

VERSION = '2'  # of the kept file
READERS = {'.tar': tar_entries, '.zip': zip_entries}
PIECE = 8192  # members that are Python objects at a time
OPEN = 256  # indexes that a process holds mapped
FIELDS = pa.schema({'name': pa.large_string(), 'start': pa.int64(), 'size': pa.int64(), 'packed': pa.int64(), 'method': pa.int16(),
                    'mark': pa.int64(), 'text': pa.large_binary()})


class Index:
    """The members of one archive, sorted by name.

    table: of FIELDS. stamp: of the archive that was read. faults: {kind: [how many, the first]} of what is no member.
    """

    def __init__(self, table, stamp):
        self.table, self.stamp, self.faults = table, stamp, json.loads(table.schema.metadata[b'faults'])
        columns = [pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type) for column in table.columns]
        self._names, self._texts = _Texts(columns[0]), columns[-1]
        self._numbers = [column.to_numpy() for column in columns[1:-1]]

    def __len__(self):
        return len(self.table)

    def names(self):
        """An iterator of all names, sorted."""
        for batch in self.table.select(['name']).to_batches(PIECE):
            yield from batch[0].to_pylist()

    def texts(self):
        """The names of the members that end as captions do, an Arrow array: small ones are held, larger ones lie in the archive."""
        names = self.table['name']
        some = names.filter(pc.match_substring_regex(names, rf'({"|".join(map(re.escape, ENDINGS))})$', ignore_case=True))
        return pa.concat_arrays([pa.array([], pa.large_string()), *some.chunks])

    def entry(self, name):
        """The Entry of a member, or None."""
        row, name = self._find(name), name.encode()
        return self._row(row) if row < len(self) and self._names[row] == name else None

    def below(self, prefix):
        """An iterator of the Entry of every member whose name begins with `prefix`."""
        start = prefix.encode()
        for row in range(self._find(prefix), len(self)):
            if not self._names[row].startswith(start):
                return
            yield self._row(row)

    def _find(self, name):
        """The row of the first member that is not before a name: UTF-8 has the order of the letters."""
        return bisect.bisect_left(self._names, name.encode())

    def _row(self, row):
        return Entry(self._names[row].decode(), *(int(column[row]) for column in self._numbers), self._texts[row].as_py())


class _Texts:
    """The bytes of the texts of an Arrow array, one at a time."""

    def __init__(self, array):
        _, offsets, data = array.buffers()
        whole = np.frombuffer(offsets, np.int64) if len(array) else np.zeros(1, np.int64)
        self._offsets = whole[array.offset:array.offset + len(array) + 1]
        self._data = memoryview(data or b'')

    def __len__(self):
        return len(self._offsets) - 1

    def __getitem__(self, row):
        return bytes(self._data[self._offsets[row]:self._offsets[row + 1]])


@functools.lru_cache(OPEN)
def index_of(archive, kind, stamp):
    """The Index of an archive of a kind of READERS; stamp: a text that changes with it, or '' where nothing is known.

    Raises Unreadable where it has none.
    """
    key = hashlib.sha256(f'{VERSION} {kind} {archive} {stamp}'.encode('utf-8', 'surrogateescape')).hexdigest()[:32]
    path = pathlib.Path(tempfile.gettempdir(), f'tqd-{os.getuid()}', 'archives', f'{key}.arrow')
    if stamp:
        try:
            return Index(pa.ipc.open_file(pa.memory_map(str(path))).read_all(), stamp)
        except (OSError, pa.ArrowException):  # not there, or another program's
            pass
    table = _read(archive, kind)
    return Index(_kept(table, path) if stamp else table, stamp)


def _read(archive, kind):
    """The table of an archive's members, of several with one name the last, as tar and unzip leave it."""
    faults, links = Faults(), []
    try:
        source = source_of(archive)  # as long as it is there, what it is chained to stays open
        with source.open() as file:
            table = _table(READERS[kind](file, faults), links)
    except Unreadable:
        raise
    except Exception as error:  # every backend has exceptions of its own
        raise Unreadable(summary(error), of_content=False) from error
    table = _sorted(table, faults)
    table = _sorted(pa.concat_tables([table, _linked(table, links, faults)]), faults) if links else table
    counted = {kind: [count, faults.first[kind]] for kind, count in faults.counts.items()}
    return table.replace_schema_metadata({'faults': json.dumps(counted)})


def _table(entries, links):
    """A table of the Entries; other pairs, links, are appended to a list."""
    batches, piece = [], []
    for entry in entries:
        if isinstance(entry, Entry):
            piece.append(entry)
        elif entry is not None:
            links.append(entry)
        if len(piece) == PIECE:
            batches.append(_batch(piece))
            piece = []
    return pa.Table.from_batches([*batches, _batch(piece)], FIELDS)


def _batch(entries):
    columns = zip(*entries, strict=True) if entries else [()] * len(FIELDS)
    return pa.record_batch([pa.array(column, field.type) for column, field in zip(columns, FIELDS, strict=True)], schema=FIELDS)


def _sorted(table, faults):
    table = table.take(pc.sort_indices(table, [('name', 'ascending'), ('start', 'ascending')])).combine_chunks()
    if len(table) < 2:
        return table
    names = table['name'].chunk(0)
    again = pc.equal(names[1:], names[:-1])
    if replaced := pc.sum(again).as_py():
        faults.counts['members that a later one of the same name replaces'] += replaced
        faults.first['members that a later one of the same name replaces'] = names[pc.index(again, True).as_py()].as_py()
    last = pa.concat_arrays([pc.invert(again), pa.array([True])])
    return table.filter(last).combine_chunks()


def _linked(table, links, faults):
    """The rows of the links, each with the bytes of what it leads to; those that lead to no member are counted."""
    rows = pc.index_in(pa.array([target for _, target in links], pa.large_string()), value_set=table['name'].combine_chunks())
    for row in pc.indices_nonzero(rows.is_null()).to_pylist():
        faults.add('links that lead to no member', links[row][0])
    names = pa.array([name for name, _ in links], pa.large_string()).filter(rows.is_valid())
    return table.take(rows.drop_null()).set_column(0, FIELDS[0], names)


def _kept(table, path):
    """The table, mapped from a file at `path` that it is written to; as it is where that cannot be."""
    part = path.with_name(f'{path.name}.{secrets.token_hex(4)}.part')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with pa.OSFile(str(part), 'wb') as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        os.replace(part, path)
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except OSError:
        part.unlink(missing_ok=True)
        return table
