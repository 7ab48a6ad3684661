"""Which content each clip has: as the store of measured rows knows it, else from its bytes; nothing is written."""
import concurrent.futures
import contextlib
import pathlib
import sqlite3

import numpy as np

from tqd_jax.clips.content import content_number
from tqd_jax.scoring import engine
from tqd_jax.scoring.measure import progress_bar
from tqd_jax.scoring.row import measured_row
from tqd_jax.scoring.store import local_store
from transfer_jax.runtime.paths import AnyPath, path_of

THREADS = 4  # files that are read at a time
KNOWN = 'SELECT id FROM files WHERE path = ? AND stamp = ? AND id IS NOT NULL'


def contents_of(paths, store: str | AnyPath) -> np.ndarray:
    """The content number of each clip, uint64 [n], 0 where it cannot be read; store: of measured rows, which may be absent."""
    numbers = _from_store(paths, store)
    unknown = np.flatnonzero(numbers == 0).tolist()
    with progress_bar('compare', 'clip') as progress, concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        for done, (row, number) in enumerate(zip(unknown, pool.map(_of_bytes, (paths[row] for row in unknown)), strict=True), 1):
            numbers[row] = number
            progress(done, len(unknown))
    return numbers


def of_ids(ids) -> np.ndarray:
    """The content numbers of an Arrow column of content ids, uint64 [n], 0 where one is null."""
    return np.array([content_number(key) if key else 0 for key in ids.to_pylist()], np.uint64)


def _from_store(paths, store):
    """The numbers of the files that have not changed since they were measured, else 0."""
    numbers = np.zeros(len(paths), np.uint64)
    if not path_of(store).exists():
        return numbers
    with local_store(str(store)) as local, contextlib.closing(_unchanged(local)) as base:
        for row, path in enumerate(paths):
            found = base.execute(KNOWN, (path, engine.stamp(path))).fetchone()
            numbers[row] = content_number(found[0]) if found else 0
    return numbers


def _unchanged(path):
    """A store to read that this process leaves as it is; what a killed one had not brought into it is not seen."""
    base = sqlite3.connect(f'{pathlib.Path(path).absolute().as_uri()}?immutable=1', uri=True)
    with contextlib.suppress(sqlite3.Error):
        base.execute(KNOWN, ('', ''))
        return base
    base.close()
    base = sqlite3.connect(':memory:')
    base.execute('CREATE TABLE files (path, stamp, id)')
    return base


def _of_bytes(path):
    key = measured_row(path, has_row=lambda key: True).get('id')
    return content_number(key) if key else 0
