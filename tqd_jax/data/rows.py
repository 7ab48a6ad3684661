"""What the loader needs of every clip, in arrays; worker processes map them from one file, so that none of them holds a copy."""
import dataclasses
import functools

import jax
import numpy as np

from tqd_jax.clips.strings import Strings
from tqd_jax.data.shared import map_arrays, share
from tqd_jax.timesteps.learned import LearnedLaw
from tqd_jax.timesteps.quality import LawConfig, law_from_quality

ARRAYS = ('ids', 'bucket', 'weight', 'tokens', 'group', 'mq', 'vq', 'duration', 'further', 'further_start', 'further_tokens')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rows:
    """One row a usable clip: all arrays have the leading axis n.

    paths: Strings. ids: uint64 content hashes. bucket: int into buckets. weight: float32 loss weight. tokens [n, ...]: captions as the
    text encoder prepares them. law: a LawConfig or a LearnedLaw, and group: int into the latter's groups, 0 without one. mq, vq in
    [0, 1]. duration in s. shifts: the flow shift of each bucket, in place of the law's own; None: that one for all.
    further: int64, how many captions a clip has beside that of `tokens`; further_start: where theirs begin in further_tokens [m, ...].

    Rows are pickled for worker processes of this machine: their arrays go to a temporary file, which lives as long as these Rows, and a
    worker maps it.
    """
    paths: Strings
    ids: np.ndarray
    bucket: np.ndarray
    buckets: tuple
    weight: np.ndarray
    tokens: np.ndarray
    law: LawConfig | LearnedLaw
    group: np.ndarray
    mq: np.ndarray
    vq: np.ndarray
    duration: np.ndarray
    shifts: tuple | None = None
    further: np.ndarray = None
    further_start: np.ndarray = None
    further_tokens: np.ndarray = None

    def __post_init__(self):
        if self.further is None:  # each clip has one caption
            nothing = {'further': np.zeros(len(self.paths), np.int64), 'further_start': np.zeros(len(self.paths), np.int64),
                       'further_tokens': np.asarray(self.tokens)[:0]}
            for name, value in nothing.items():
                object.__setattr__(self, name, value)

    def __len__(self):
        return len(self.paths)

    def bucket_of(self, clip):
        """The Bucket of one row."""
        return self.buckets[self.bucket[clip]]

    def laws(self, clips):
        """The Law of t of the rows `clips` [B], by their scores or by their groups."""
        if isinstance(self.law, LearnedLaw):
            return self.law.laws(self.group[clips])
        if self.shifts is None:
            return law_from_quality(self.mq[clips], self.vq[clips], self.law)
        laws = [law_from_quality(self.mq[clips], self.vq[clips], dataclasses.replace(self.law, shift=shift)) for shift in self.shifts]
        rows = self.bucket[clips], np.arange(len(clips))
        return jax.tree.map(lambda *leaves: np.stack(leaves)[rows], *laws)

    def __reduce__(self):
        return map_rows, (*self._file, {'buckets': self.buckets, 'law': self.law, 'shifts': self.shifts})

    @functools.cached_property
    def _file(self):
        paths = self.paths if isinstance(self.paths, Strings) else Strings.of(self.paths)
        arrays = {name: np.asarray(getattr(self, name)) for name in ARRAYS}
        return share(self, arrays | {'offsets': paths.offsets, 'data': paths.data})


def map_rows(path, layout, others):
    """The Rows whose arrays lie in a file that share wrote."""
    arrays = map_arrays(path, layout)
    return Rows(paths=Strings(arrays.pop('offsets'), arrays.pop('data')), **arrays, **others)
