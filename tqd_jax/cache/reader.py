"""Reads a cache's folder: key -> array, at random, a million records in flat arrays that worker processes share."""
import collections
import functools
import threading

import jax.numpy as jnp
import numpy as np
from array_record.python.array_record_module import ArrayRecordReader

from tqd_jax.cache.remote import fetch_indexes, fetch_shards
from tqd_jax.cache.shard import INDEX, SHARD, damaged, read_index
from tqd_jax.data.shared import map_arrays, share
from transfer_jax.runtime.paths import is_remote, path_of, scratch_of

OPTIONS = 'readahead_buffer_size:0,max_parallelism:0'  # for records at random
OPEN = 128  # shards at a time


class Reader:
    """The records that a folder had when the Reader was made, in the order of their keys: reader[i] is the array of record i.

    keys: uint8 [N, 16], sorted, none twice. shard, position: int32 [N], where they lie; shards: {file name: bytes}. kind: int32 [N] into
    kinds, pairs of a shape and a dtype's name. Threads may share one; pickled, a worker process of this machine maps its arrays from a
    file. In an object store, records can be read once `fetch` has copied their shards to the local disk.
    """

    def __init__(self, folder, shards, kinds, *, keys, shard, position, kind):
        self.folder, self.shards, self.kinds = folder, shards, kinds
        self.keys, self.shard, self.position, self.kind = keys, shard, position, kind
        self._names = list(shards)
        self._open, self._lock = collections.OrderedDict(), threading.Lock()

    @classmethod
    def open(cls, folder):
        """The Reader of a folder, which need not be there. Raises UserError, naming the file, where an index or a shard is damaged."""
        folder = path_of(folder)
        sizes = fetch_indexes(folder) if is_remote(folder) else _sizes(folder)
        kinds, parts = {}, []
        for number, name in enumerate(sizes):
            keys, positions, records = read_index(scratch_of(folder) / name, sizes[name], folder / name)
            kind = [kinds.setdefault(record, len(kinds)) for record in records]
            parts.append((keys, np.full(len(keys), number, np.int32), positions, np.array(kind, np.int32)))
        empty = np.zeros((0, 16), np.uint8), *[np.zeros(0, np.int32)] * 3
        arrays = dict(zip(('keys', 'shard', 'position', 'kind'), map(np.concatenate, zip(empty, *parts, strict=True)), strict=True))
        _, first, _ = unique_keys(arrays['keys'])  # two processes may have encoded the same
        return cls(folder, sizes, tuple(kinds), **{name: array[first] for name, array in arrays.items()})

    def fetch(self, records):
        """Copies the shards of records, int [...] with -1 for none, from an object store to the local disk; elsewhere they are there.

        Raises UserError where that has no room for them.
        """
        if is_remote(self.folder):
            numbers = np.unique(self.shard[records[records >= 0]]).tolist()
            fetch_shards(self.folder, {self._names[number]: self.shards[self._names[number]] for number in numbers})

    def __len__(self):
        return len(self.keys)

    def find(self, keys):
        """int64 [...]: the record of each key, uint8 [..., 16], or -1 where there is none."""
        names = as_bytes(np.asarray(keys, np.uint8).reshape(-1, 16))
        if not len(self):
            return np.full(keys.shape[:-1], -1)
        place = np.minimum(np.searchsorted(as_bytes(self.keys), names), len(self) - 1)
        return np.where(as_bytes(self.keys)[place] == names, place, -1).reshape(keys.shape[:-1])

    def __getitem__(self, record):
        shape, dtype = self.kinds[self.kind[record]]
        number = int(self.shard[record])
        try:
            data, = self._shard(number).read([int(self.position[record])])
            return np.frombuffer(data, jnp.dtype(dtype)).reshape(shape)
        except (RuntimeError, ValueError) as error:
            raise damaged(self.folder / self._names[number], str(error).split(';')[0]) from error

    def _shard(self, number):
        """The open file of a shard; the one that was not used for longest is closed by whoever uses it last."""
        with self._lock:
            if number not in self._open:
                path = str(scratch_of(self.folder) / self._names[number])
                self._open[number] = ArrayRecordReader(path, OPTIONS, file_reader_buffer_size=2**15)
            self._open.move_to_end(number)
            if len(self._open) > OPEN:
                self._open.popitem(last=False)
            return self._open[number]

    def __reduce__(self):
        return _map_reader, (*self._file, self.folder, self.shards, self.kinds)

    @functools.cached_property
    def _file(self):
        return share(self, {name: getattr(self, name) for name in ('keys', 'shard', 'position', 'kind')})


def _sizes(folder):
    """{name: bytes} of the shards in a local folder that have an index; a shard that was deleted is encoded again."""
    shards = (path.with_name(path.name.removesuffix(INDEX) + SHARD) for path in sorted(folder.glob(f'[!.]*{INDEX}')))
    return {shard.name: shard.stat().st_size for shard in shards if shard.exists()}


def _map_reader(path, layout, folder, shards, kinds):
    return Reader(folder, shards, kinds, **map_arrays(path, layout))


def unique_keys(keys):
    """(the different ones of keys uint8 [n, 16], sorted; where each is first; which of them each key is [n])."""
    _, first, inverse = np.unique(as_bytes(keys), return_index=True, return_inverse=True)
    return keys[first], first, inverse


def as_bytes(keys):
    """Keys uint8 [n, 16] as byte strings [n], which numpy sorts."""
    return np.ascontiguousarray(keys).view('S16')[:, 0]
