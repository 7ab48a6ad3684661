"""Groups of the library's clips for a learned law, which need no score."""
import numpy as np

from benchmarks.studies.training.arms import Plan
from benchmarks.studies.world.degradations import DEGRADATIONS
from tqd_jax.timesteps.learned import LearnedLaw, weights


def clip_groups(clips, min_clips=1):
    """(names [K], label int [N]): golden, slow (of good visual quality), and each degradation, of clips that move well and of poor ones.

    Where a degradation has fewer than `min_clips` clips, all of that speed are one group, 'degraded' or 'slow degraded'. A group has
    clips of any severity and speed; mq and vq have no part in it.
    """
    names = np.where(clips.golden, 'golden', np.where(clips.visual_only, 'slow', np.asarray(DEGRADATIONS)[clips.degradation])).astype('U20')
    for mine, prefix in ((clips.motion_only, ''), (clips.poor, 'slow ')):
        few = mine.any() and np.unique(names[mine], return_counts=True)[1].min() < min_clips
        names[mine] = np.char.add(prefix, 'degraded' if few else names[mine])
    order = ['golden', 'slow', *(f'{speed}{name}' for speed in ('', 'slow ') for name in (*DEGRADATIONS, 'degraded'))]
    groups = tuple(name for name in order if (names == name).any())
    return groups, np.array([groups.index(name) for name in names])


def learned_plan(q, names, labels):
    """The Plan of shares of draws q [B, K] for clips of groups labels [N]: laws over B equal noise bins, and acceptance."""
    law = LearnedLaw(groups=names, weight=weights(q, np.bincount(labels, minlength=len(names))))
    return Plan(law=law.laws(labels), acceptance=law.acceptance(labels).astype(np.float32))
