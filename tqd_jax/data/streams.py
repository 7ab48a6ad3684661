"""Which clip is draw i: endless streams, a pure function of (seed, epoch, clip id), per source and bucket.

An epoch of a stream is its library in a shuffled order, each clip kept with its probability: quality dropout by acceptance, so that
batches stay full. Streams never end, so a small bucket or source loses nothing: what does not fill a batch comes in the next one.
"""
import bisect
import dataclasses
import functools
import sys
import threading

import numpy as np

from transfer_jax.runtime.errors import UserError


def hashed_uniform(seed, salt, ids):
    """Uniform [0, 1) numbers [n] of (seed, salt, id): SplitMix64's finaliser (Steele et al. 2014), vectorised over uint64 ids [n]."""
    with np.errstate(over='ignore'):
        z = np.asarray(ids, np.uint64) + np.uint64(0x9E3779B97F4A7C15) * np.uint64(seed + 1)
        for number in (np.uint64(salt), np.uint64(0)):
            z = z + number * np.uint64(0xD1B54A32D192ED03) + np.uint64(0x9E3779B97F4A7C15)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


HELD = 2  # epochs: batches that are loaded side by side may lie on both sides of the end of one


class Stream:
    """An endless, randomly accessible sequence of clip numbers: stream[i] for any i >= 0.

    Threads may share one: what it keeps of the epochs met so far is a function of (seed, epoch, id) and changes under a lock.

    clips: int [n], rows of the library. ids: uint64 [n], their content hashes. keep: [n] in [0, 1].
    Raises UserError if no clip can be kept.
    """

    def __init__(self, *, clips, ids, keep, seed):
        if not np.any(np.asarray(keep) > 0):
            raise UserError(f'quality dropout keeps none of {len(clips)} clips: every max(mq, vq) is 0; set config.data.dropout=none')
        self._clips, self._ids, self._keep, self._seed = np.asarray(clips), np.asarray(ids, np.uint64), np.asarray(keep), seed
        self._lock, self._ends = threading.Lock(), [0]  # ends: of the epochs met so far
        self._orders = {}  # {epoch: its clips} of the last HELD epochs asked for

    def __len__(self):
        return sys.maxsize

    def __getitem__(self, index):
        with self._lock:
            while self._ends[-1] <= index:
                number = len(self._ends) - 1
                self._ends.append(self._ends[-1] + len(self._order(number)))
            number = bisect.bisect_right(self._ends, index) - 1
            return int(self._order(number)[index - self._ends[number]])

    def _order(self, number):
        """epoch(number), from the last HELD ones where it is there; the lock is held."""
        order = self._orders.pop(number) if number in self._orders else self.epoch(number)
        self._orders = dict([*self._orders.items(), (number, order)][-HELD:])
        return order

    def __reduce__(self):  # for worker processes: what it is made of, without lock and epochs
        return functools.partial(Stream, clips=self._clips, ids=self._ids, keep=self._keep, seed=self._seed), ()

    def epoch(self, number):
        """The clips of one epoch in order: int [<= n]; acceptance and order are functions of (seed, epoch, id) alone."""
        kept = np.flatnonzero(hashed_uniform(self._seed, 2 * number, self._ids) < self._keep)
        return self._clips[kept[np.argsort(hashed_uniform(self._seed, 2 * number + 1, self._ids[kept]), kind='stable')]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bucket:
    """One shape of a batch: width and height in pixels, frames. Raises ValueError unless all are positive."""
    width: int
    height: int
    frames: int

    def __post_init__(self):
        if min(self.width, self.height, self.frames) < 1:
            raise ValueError(f'a bucket is (width, height, frames), all positive, got {dataclasses.astuple(self)}')


def assign_bucket(width, height, duration, buckets, fps):
    """Index of a clip's bucket: of those its duration fills, the nearest aspect ratio, then the most frames; None if none is filled."""
    fits = [i for i, b in enumerate(buckets) if (b.frames - 1) / fps <= duration + 1e-6]
    stretch = lambda b: abs(np.log((width / height) / (b.width / b.height)))
    return min(fits, key=lambda i: (round(stretch(buckets[i]), 6), -buckets[i].frames), default=None)
