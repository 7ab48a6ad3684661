"""A law that a pilot has learned: of which kind a clip is, and what a clip of that kind counts in each bucket of noise."""
import dataclasses
import functools

import numpy as np

from tqd_jax.timesteps.law import BINS, Base, make_law
from tqd_jax.timesteps.quality import SPOKEN, quadrant

BY = ('quadrant', 'source', 'both')  # what tells kinds apart


@dataclasses.dataclass(frozen=True, kw_only=True)
class LearnedLaw:
    """weight: float [B, K] >= 0, what a clip of kinds[k] counts in bucket j of B equal ones of t; in uniform training all are equal.

    by: one of BY, what kinds are told apart by. Raises ValueError where by, B (a divisor of timesteps.BINS) or a weight is impossible.
    """
    kinds: tuple
    weight: np.ndarray
    by: str = 'quadrant'

    def __post_init__(self):
        weight = np.asarray(self.weight, np.float64)
        if self.by not in BY:
            raise ValueError(f'kinds are told apart by one of {", ".join(BY)}, got {self.by!r}')
        if not all(isinstance(kind, str) for kind in self.kinds) or len(set(self.kinds)) < len(self.kinds):
            raise ValueError(f'kinds are names, each once, got {list(self.kinds)}')
        if weight.ndim != 2 or weight.shape[1] != len(self.kinds) or BINS % max(1, len(weight)):
            raise ValueError(f'weights are [buckets, kinds], buckets a divisor of {BINS}, got {weight.shape} for {len(self.kinds)} kinds')
        if not (np.isfinite(weight).all() and (weight >= 0).all() and weight.any()):
            raise ValueError('weights are finite and >= 0, and not all 0')

    def laws(self, labels):
        """The Law [N] of clips of kinds `labels` [N]: a density over t in proportion to weight; t ~ U for a kind that counts nothing."""
        return dataclasses.replace(make_law(len(labels)), table=self._tables[labels])

    def keep(self, labels):
        """How often clips of kinds `labels` [N] are drawn, in proportion to the mean weight over t: in [0, 1], the most wanted of them 1.

        Raises ValueError where none of them counts.
        """
        mean = np.asarray(self.weight, np.float64).mean(0)[labels]
        if not mean.any():
            raise ValueError(f'no clip counts: the law wants {", ".join(np.asarray(self.kinds)[np.any(self.weight, 0)].tolist())}')
        return mean / mean.max()

    @functools.cached_property
    def _tables(self):
        column = np.asarray(self.weight, np.float64).T
        column = np.where(column.any(1, keepdims=True), column, 1.0)
        return np.stack([Base(density=tuple(row)).table() for row in column.tolist()])


def weights(shares, counts):
    """What a clip counts, [B, K], relative to uniform training, from each kind's share of the draws [B, K] and its number of clips [K]."""
    counts = np.asarray(counts, np.float64)
    return np.asarray(shares, np.float64) * counts.sum() / counts


def kinds_of(by, sources, source, mq, vq):
    """(names [K], label int [N]) of clips of sources[source] with scores mq, vq: quadrants, sources, or both; only what has clips."""
    number = {'quadrant': quadrant(mq, vq), 'source': np.asarray(source), 'both': 4 * np.asarray(source) + quadrant(mq, vq)}[by]
    found, labels = np.unique(number, return_inverse=True)
    name = {'quadrant': lambda i: SPOKEN[i], 'source': lambda i: str(sources[i]), 'both': lambda i: f'{sources[i // 4]}, {SPOKEN[i % 4]}'}
    return tuple(map(name[by], found.tolist())), labels
