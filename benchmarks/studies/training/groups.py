"""Kinds of the library's clips for a learned law, by what is known of them without any score."""
import numpy as np

from benchmarks.studies.training.arms import Plan
from benchmarks.studies.world.degradations import DEGRADATIONS
from tqd_jax.timesteps.learned import LearnedLaw, weights


def clip_groups(clips, least=1):
    """(names [K], label int [N]): golden, slow (of good look), and each degradation, of clips that move well and of poor ones.

    Where a degradation has fewer than `least` clips, all of that speed are one kind, 'degraded' or 'slow degraded'. Severities and speeds
    within a kind are not told apart, and neither mq nor vq is looked at.
    """
    names = np.where(clips.golden, 'golden', np.where(clips.visual_only, 'slow', np.asarray(DEGRADATIONS)[clips.degradation])).astype('U20')
    for mine, prefix in ((clips.motion_only, ''), (clips.poor, 'slow ')):
        few = mine.any() and np.unique(names[mine], return_counts=True)[1].min() < least
        names[mine] = np.char.add(prefix, 'degraded' if few else names[mine])
    order = ['golden', 'slow', *(f'{speed}{name}' for speed in ('', 'slow ') for name in (*DEGRADATIONS, 'degraded'))]
    found = tuple(name for name in order if (names == name).any())
    return found, np.array([found.index(name) for name in names])


def learned_plan(q, names, labels):
    """The Plan of shares of draws q [B, K] for clips of kinds labels [N]: laws over B equal buckets, and how often each clip is drawn."""
    law = LearnedLaw(groups=names, weight=weights(q, np.bincount(labels, minlength=len(names))))
    return Plan(law=law.laws(labels), keep=law.acceptance(labels).astype(np.float32))
