"""A learned law: the group of a clip, and what a clip of that group counts in each noise bin."""
import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int, Num

from tqd_jax.timesteps.law import BINS, Base, Law, make_law
from tqd_jax.timesteps.quadrants import LABELS, quadrant
from transfer_jax.runtime.counts import counted

BY = ('quadrant', 'source', 'both')  # what separates groups


@dataclasses.dataclass(frozen=True, kw_only=True)
class LearnedLaw:
    """weight: float [B, K] >= 0, what a clip of groups[k] counts in bin j of B equal bins of t; in uniform training all are equal.

    by: one of BY, what separates the groups. Raises ValueError where by, B (a divisor of law.BINS) or a weight is impossible.
    """
    groups: tuple
    weight: Num[np.ndarray, 'bins groups']
    by: str = 'quadrant'

    def __post_init__(self):
        weight, groups = np.asarray(self.weight, np.float64), self.groups
        if self.by not in BY:
            raise ValueError(f'what separates groups is one of {", ".join(BY)}, got {self.by!r}')
        if not all(isinstance(group, str) for group in groups) or len(set(groups)) < len(groups):
            raise ValueError(f'groups are names, each once, got {list(groups)}')
        if weight.ndim != 2 or weight.shape[1] != len(groups) or BINS % max(1, len(weight)):
            raise ValueError(f'weights are [bins, groups], bins a divisor of {BINS}, got {weight.shape} for '
                             f'{counted(len(groups), "group")}')
        if not (np.isfinite(weight).all() and (weight >= 0).all() and weight.any()):
            raise ValueError('weights are finite and >= 0, and not all 0')

    def laws(self, labels: Int[np.ndarray, ' n']) -> Law:
        """The Law [N] of clips of groups `labels` [N]: a density of t in proportion to weight; t ~ U for a group whose weights are 0."""
        return dataclasses.replace(make_law(len(labels)), table=self._tables[labels])

    def acceptance(self, labels: Int[np.ndarray, ' n']) -> Float64[np.ndarray, ' n']:
        """Acceptance probability [N] of clips of groups `labels` [N], in proportion to the mean weight over t; the largest is 1.

        Raises ValueError where all of them have weight 0.
        """
        mean = np.asarray(self.weight, np.float64).mean(0)[labels]
        if not mean.any():
            raise ValueError(f'no clip counts: the law wants {", ".join(np.asarray(self.groups)[np.any(self.weight, 0)].tolist())}')
        return mean / mean.max()

    @functools.cached_property
    def _tables(self):
        column = np.asarray(self.weight, np.float64).T
        column = np.where(column.any(1, keepdims=True), column, 1.0)
        return np.stack([Base(density=tuple(row)).table() for row in column.tolist()])


def weights(shares: Num[np.ndarray, 'bins groups'],
            counts: Num[np.ndarray, ' groups'] | Sequence[float]) -> Float64[np.ndarray, 'bins groups']:
    """What a clip counts relative to uniform training, float64 [B, K]: shares[j, k] N / N_k.

    shares: [B, K], each group's share of the draws in each noise bin. counts: [K], its number of clips N_k; N is their sum.
    """
    counts = np.asarray(counts, np.float64)
    return np.asarray(shares, np.float64) * counts.sum() / counts


def groups_of(by, sources, source, mq, vq):
    """(names [K], label int [N]) of clips of sources[source] with scores mq, vq: quadrants, sources, or both; only what has clips."""
    number = {'quadrant': quadrant(mq, vq), 'source': np.asarray(source), 'both': 4 * np.asarray(source) + quadrant(mq, vq)}[by]
    present, labels = np.unique(number, return_inverse=True)
    name = {'quadrant': lambda i: LABELS[i], 'source': lambda i: str(sources[i]), 'both': lambda i: f'{sources[i // 4]}, {LABELS[i % 4]}'}
    return tuple(map(name[by], present.tolist())), labels
