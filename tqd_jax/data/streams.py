"""Which clip is draw i: endless streams, a pure function of (seed, epoch, clip id), per source and bucket.

An epoch of a stream is its library in a shuffled order, each clip accepted with its probability: quality dropout that leaves batches
full. Streams never end, so a small bucket or source loses nothing: what does not fill a batch comes in the next one.
"""
import bisect
import functools
import threading

import numpy as np

from tqd_jax.data.shared import map_arrays, share
from transfer_jax.runtime.counts import counted

PIECE = 2**16  # ids that are hashed at a time
CACHED = 2  # epochs: batches that are loaded side by side may lie on both sides of the end of one
LENGTH = 2**48  # stands for endless; grain computes lengths of batches and mixtures in float64, where sys.maxsize becomes too large
ARRAYS = ('clips', 'ids', 'acceptance')


def hashed_uniform(seed, salt, ids):
    """Uniform [0, 1) numbers [n] of (seed, salt, id): SplitMix64's finaliser (Steele et al. 2014), vectorised over uint64 ids [n]."""
    ids = np.asarray(ids, np.uint64)
    out = np.empty(len(ids))
    for first in range(0, len(ids), PIECE):  # temporary arrays of a piece, not of a million ids
        out[first:first + PIECE] = _hash(seed, salt, ids[first:first + PIECE])
    return out


def _hash(seed, salt, ids):
    with np.errstate(over='ignore'):
        z = ids + np.uint64(0x9E3779B97F4A7C15) * np.uint64(seed + 1)
        for number in (np.uint64(salt), np.uint64(0)):
            z = z + number * np.uint64(0xD1B54A32D192ED03) + np.uint64(0x9E3779B97F4A7C15)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


class Stream:
    """An endless, randomly accessible sequence of clip numbers: stream[i] for any i >= 0.

    Threads may share one: its cache of epochs is a function of (seed, epoch, id) and changes under a lock.

    clips: int [n], rows of the library. ids: uint64 [n], their content hashes. acceptance: probability [n] of being in an epoch.
    Raises ValueError if every acceptance is 0: such a stream would never come to its first clip.
    """

    def __init__(self, *, clips, ids, acceptance, seed):
        if not np.any(np.asarray(acceptance) > 0):
            raise ValueError(f'a stream of {counted(len(clips), "clip")} accepts none: every acceptance is 0')
        self._clips, self._ids = np.asarray(clips, np.int32), np.asarray(ids, np.uint64)
        self._acceptance, self._seed = np.asarray(acceptance), seed
        self._lock, self._ends = threading.Lock(), [0]  # ends: index behind the last draw of epoch 0, 1, ...
        self._orders = {}  # {epoch: its clips} of the last CACHED epochs in use

    def __len__(self):
        return LENGTH

    def __getitem__(self, index):
        with self._lock:
            while self._ends[-1] <= index:
                number = len(self._ends) - 1
                self._ends.append(self._ends[-1] + len(self._order(number)))
            number = bisect.bisect_right(self._ends, index) - 1
            return int(self._order(number)[index - self._ends[number]])

    def _order(self, number):
        """epoch(number), from the cache where it is there; the caller holds the lock."""
        order = self._orders.pop(number) if number in self._orders else self.epoch(number)
        self._orders = dict([*self._orders.items(), (number, order)][-CACHED:])
        return order

    def __reduce__(self):  # for worker processes: without the lock and the cache, its arrays in a file that they map
        return _map_stream, (*self._file, self._seed)

    @functools.cached_property
    def _file(self):
        return share(self, {name: getattr(self, f'_{name}') for name in ARRAYS})

    def epoch(self, number):
        """The clips of one epoch in order: int [<= n]; acceptance and order are functions of (seed, epoch, id) alone."""
        accepted = np.flatnonzero(self._uniforms(2 * number, slice(None)) < self._acceptance).astype(np.int32)
        order = np.argsort(self._uniforms(2 * number + 1, accepted), kind='stable')
        return self._clips[accepted[order]]

    def _uniforms(self, salt, rows):
        return hashed_uniform(self._seed, salt, self._ids[rows])


def _map_stream(path, layout, seed):
    return Stream(**map_arrays(path, layout), seed=seed)
