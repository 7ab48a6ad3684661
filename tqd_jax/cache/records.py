"""Writes arrays to ArrayRecord shards, each whole or absent: what is committed outlives whatever happens to the process."""
import contextlib
import dataclasses
import os
import pathlib
import tempfile
import time

import numpy as np
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter

from tqd_jax.cache.remote import publish
from tqd_jax.cache.shard import remove_dead_parts, shard_of, start_part, write_index
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.paths import is_remote, path_of

OPTIONS = 'group_size:1,zstd:1'  # latents in bfloat16 take 78 % of their bytes, and 3 instead of 1 ms for 2.6 MB


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """When a shard is closed: at so many records or bytes, or with the first record after so many seconds. A killed process loses it."""
    records: int = 256
    bytes: int = 2**30
    seconds: float = 120.0


class Writer:
    """Appends arrays to shards of a folder; any number of processes may do so at once. A context manager, which commits the last shard.

    process: its number is in the shards' names.
    """

    def __init__(self, folder, process=0, limits=Limits()):
        self._folder, self._process, self._limits, self._shard = path_of(folder), process, limits, None
        self._closing = contextlib.ExitStack()
        self.committed = 0  # records

    def __enter__(self):
        if is_remote(self._folder):
            self._local = pathlib.Path(self._closing.enter_context(tempfile.TemporaryDirectory(prefix='tqd-')))
        else:
            self._local = self._folder
            remove_dead_parts(self._folder)
        return self

    def __exit__(self, kind, *exception):
        with self._closing, contextlib.suppress(UserError) if kind else contextlib.nullcontext():  # must not replace the first error
            self.commit()

    def add(self, key, array, **facts):
        """Appends an array under a key of 16 bytes; facts: what a person finds beside it in the index.

        Raises UserError where the disk is full, as commit does; the shards that are committed stay.
        """
        array = np.asarray(array)  # here, since a device's errors are RuntimeErrors as ArrayRecord's are
        with self._discarding():
            self._shard = self._shard or _Shard(*start_part(self._local, self._process))
            self._shard.add(key, array, facts)
        if self._shard.is_full(self._limits):
            self.commit()

    def commit(self):
        """Closes the open shard, if there is one: from then on its records are there."""
        if self._shard is None:
            return
        with self._discarding():
            shard = self._shard.commit()
            if is_remote(self._folder):
                publish(shard, self._folder)
        self.committed += len(self._shard.lines)
        self._shard = None

    @contextlib.contextmanager
    def _discarding(self):
        """Raises UserError for a disk's errors, the open shard removed."""
        try:
            yield
        except (OSError, RuntimeError) as error:  # RuntimeError is ArrayRecord's
            if self._shard is not None:
                self._shard.discard()
            self._shard = None
            reason = getattr(error, 'strerror', None) or str(error).split(';')[0]
            raise UserError(f'{self._folder}: a shard cannot be written ({reason}); make room on that disk, or make it writable, and '
                            f'encode again: earlier shards stay, {counted(self.committed, "record")} of this process among them') from error


class _Shard:
    """One open shard: its locked file, the writer, and the lines of its index."""

    def __init__(self, file, part):
        self._file, self._part, self.lines = file, part, []
        self._writer, self._bytes, self._start = ArrayRecordWriter(str(part), OPTIONS), 0, time.monotonic()

    def add(self, key, array, facts):
        self._writer.write(array.tobytes())
        self._bytes += array.nbytes
        self.lines.append({'key': bytes(key).hex(), 'position': len(self.lines), 'shape': array.shape, 'dtype': array.dtype.name, **facts})

    def is_full(self, limits):
        seconds = time.monotonic() - self._start
        return len(self.lines) >= limits.records or self._bytes >= limits.bytes or seconds >= limits.seconds

    def commit(self):
        """The part becomes a shard, whose path is returned, then its index is written, then its lock is free."""
        self._writer.close()
        count = ArrayRecordReader(str(self._part)).num_records()
        if count != len(self.lines):
            raise OSError(None, f'{count} of {counted(len(self.lines), "record")} arrived')
        os.fsync(self._file.fileno())
        os.rename(self._part, shard_of(self._part))
        write_index(shard_of(self._part), self.lines)
        self._file.close()
        return shard_of(self._part)

    def discard(self):
        """Removes what was written."""
        with contextlib.suppress(RuntimeError):  # after a failed write closing fails too
            self._writer.close()
        for path in (self._part, shard_of(self._part)):
            path.unlink(missing_ok=True)
        self._file.close()
