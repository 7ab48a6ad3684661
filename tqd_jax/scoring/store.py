"""Measured rows in one SQLite file: by content, so a clip is measured once under any name; safe whenever a process dies."""
import contextlib
import json
import pathlib
import sqlite3
import tempfile
import threading
import time

from transfer_jax.runtime.files import replace_atomically
from transfer_jax.runtime.paths import fetch, is_remote, path_of

SCHEMA = '''
CREATE TABLE IF NOT EXISTS rows (id TEXT, version TEXT, row TEXT, PRIMARY KEY (id, version)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (path TEXT, version TEXT, stamp TEXT, id TEXT, reason TEXT, PRIMARY KEY (path, version)) WITHOUT ROWID;
'''
SHARES = '.share-'  # in the names of the stores that several processes fill for one
PATIENCE = 60.0  # s that one process waits for another's write
SECONDS = 120.0  # between two copies to an object store


class RowStore:
    """Rows of one version of the scorer, and which file has which content. One process writes; any number look, each with its own RowStore.

    path: of the file; version: text. What was written is there after a SIGKILL. A context manager.
    """

    def __init__(self, path, version):
        self._version = version
        self._base = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)  # every statement is a transaction
        _write_ahead(self._base)
        self._base.execute('PRAGMA synchronous = NORMAL')
        self._base.executescript(SCHEMA)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._base.close()

    def has(self, key):
        """Whether there is a row of this content id."""
        return self._one('SELECT 1 FROM rows WHERE id = ? AND version = ?', key, self._version) is not None

    def of(self, key):
        """The row of a content id without it, or None."""
        text = self._one('SELECT row FROM rows WHERE id = ? AND version = ?', key, self._version)
        return text and json.loads(text[0])

    def row(self, path, stamp):
        """The row (a dict) of a file that has not changed since, or {'reason': why it has none}; None where it must be measured."""
        record = self._one('SELECT id, reason FROM files WHERE path = ? AND version = ? AND stamp = ?', path, self._version, stamp)
        if record is None or record[0] is None:
            return record and {'reason': record[1]}
        values = self.of(record[0])
        return values and {'id': record[0], **values}

    def add(self, path, stamp, row):
        """Keeps a row: {'id', ...}, {'id'} alone where the content is known, or {'reason'} of a file without one, under its path."""
        key, values = row.get('id'), {name: value for name, value in row.items() if name != 'id'}
        if key and values:
            self.put(key, values)
        reason = None if key else row['reason']
        self._base.execute('INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)', (path, self._version, stamp, key, reason))

    def put(self, key, values):
        """Keeps the row of a content id, whatever files have it."""
        self._base.execute('INSERT OR REPLACE INTO rows VALUES (?, ?, ?)', (key, self._version, json.dumps(values)))

    def forget_unread(self):
        """Drops the reasons of files that could not be read, or not in time: another run tries again."""
        self._base.execute('DELETE FROM files WHERE id IS NULL')

    def forget_reasons(self):
        """Drops the rows of this version that are a reason, whatever their content: another run tries again."""
        self._base.execute("DELETE FROM rows WHERE version = ? AND json_extract(row, '$.reason') IS NOT NULL", (self._version,))

    def _one(self, statement, *values):
        return self._base.execute(statement, values).fetchone()


def _write_ahead(base):
    """Sets the journal to WAL, which SQLite refuses at once while another connection writes; without shared memory it stays as it was."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            base.execute('PRAGMA journal_mode = WAL')
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)


def share_of(path, process):
    """The path of the store that a process fills for the store at `path`."""
    return f'{path}{SHARES}{process}'


def merge_shares(path):
    """Adds the rows of every share of a store to it, and removes the shares; killed between two, it goes on where it is called again."""
    path = path_of(path)
    shares = [share for share in path.parent.glob(f'{path.name}{SHARES}*') if share.name.rpartition(SHARES)[2].isdecimal()]
    if not is_remote(path):
        _merge(path, shares)
    elif shares:
        with local_store(path) as local:
            local = pathlib.Path(local)
            for share in shares:
                fetch(share, local.with_name(share.name))
            _merge(local, [local.with_name(share.name) for share in shares])
        for share in shares:
            share.unlink()


def _merge(path, shares):
    with contextlib.closing(sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)) as base:
        base.executescript(SCHEMA)
        for share in shares:
            with contextlib.closing(sqlite3.connect(share)) as other:
                other.executescript(SCHEMA)  # a kill may have come before
            base.execute('ATTACH ? AS share', (str(share),))
            for table in ('rows', 'files'):
                base.execute(f'INSERT OR REPLACE INTO {table} SELECT * FROM share.{table}')
            base.execute('DETACH share')
            for file in (share, *path.parent.glob(f'{share.name}-*')):
                file.unlink()


@contextlib.contextmanager
def local_store(path):
    """A context that gives the path of a local file for a store, text: the store itself, or of one in an object store a copy.

    What is new in a copy is written back every SECONDS and at the end, also that of an error: a SIGKILL loses that much.
    """
    if not is_remote(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix='tqd-') as folder:
        local, ended = pathlib.Path(folder, path_of(path).name), threading.Event()
        if path_of(path).exists():
            fetch(path_of(path), local)
        with contextlib.closing(sqlite3.connect(local, timeout=PATIENCE, isolation_level=None, check_same_thread=False)) as base:
            base.executescript(SCHEMA)
            copy = _Copy(base, path_of(path))
            keeper = threading.Thread(target=copy.keep, args=(ended,))
            keeper.start()
            try:
                yield str(local)
            finally:
                ended.set()
                keeper.join()
                copy.write()


class _Copy:
    """What an object store has of an open database, which others write."""

    def __init__(self, base, path):
        self._base, self._path = base, path
        self._written = self._version()

    def write(self):
        """Copies the database where it has changed since."""
        version = self._version()
        if version != self._written:
            replace_atomically(self._path, self._snapshot)
            self._written = version

    def keep(self, ended):
        """Writes every SECONDS until the Event; what fails is written the next time."""
        while not ended.wait(SECONDS):
            with contextlib.suppress(Exception):  # every backend has exceptions of its own
                self.write()

    def _version(self):
        return self._base.execute('PRAGMA data_version').fetchone()  # changes with what other connections write

    def _snapshot(self, part):
        with contextlib.closing(sqlite3.connect(part)) as copy:
            self._base.backup(copy)


def are_there(path, version, files):
    """Whether a store that nobody writes now has the row of each of the (path, stamp) of files, as an iterator."""
    with contextlib.closing(sqlite3.connect(f'{pathlib.Path(path).absolute().as_uri()}?immutable=1', uri=True)) as base:
        for name, stamp in files:
            statement = 'SELECT 1 FROM files WHERE path = ? AND version = ? AND stamp = ?'
            yield base.execute(statement, (name, version, stamp)).fetchone() is not None
