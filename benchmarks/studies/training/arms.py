"""The arms of a study: which clips each may draw, how often, and at which noise each clip teaches."""
import dataclasses

import jax
import numpy as np

from tqd_jax.timesteps.acceptance import acceptance_probability
from tqd_jax.timesteps.law import Law
from tqd_jax.timesteps.quality import LawConfig, law_from_quality

MEMBERS = ('all', 'imbalanced', 'golden')
UNIFORM, TQD = LawConfig(kind='uniform'), LawConfig(kind='beta')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to train on the library.

    name: as in tables. members: the clips that may be drawn, 'all', 'imbalanced' (good at one thing only) or 'golden' (good at both).
    law: when a clip teaches, from its mq and vq. dropout: it is drawn in proportion to max(mq, vq), else all alike.
    reversed: mq and vq change places in the law, a control. Raises ValueError on other members.
    """
    name: str
    members: str = 'all'
    law: LawConfig = UNIFORM
    dropout: bool = False
    reversed: bool = False

    def __post_init__(self):
        if self.members not in MEMBERS:
            raise ValueError(f'members are one of {MEMBERS}, got {self.members!r}')


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """An arm as arrays. law: leaves [N, ...], each clip's law of t. acceptance: float32 [N], how often each clip is
    drawn, relative to the others."""
    law: Law
    acceptance: np.ndarray


_TQD = dict(law=TQD, dropout=True)
ARMS = {arm.name: arm for arm in (
    Arm(name='A uniform'), Arm(name='A tqd', **_TQD),
    Arm(name='B uniform', members='imbalanced'), Arm(name='B tqd', members='imbalanced', **_TQD),
    Arm(name='C uniform', members='golden'), Arm(name='C tqd', members='golden', **_TQD),
    Arm(name='A adaptive t only', law=TQD), Arm(name='A dropout only', dropout=True),
    Arm(name='A reversed', reversed=True, **_TQD), Arm(name='B reversed', members='imbalanced', reversed=True, **_TQD),
    Arm(name='A kappa 4', law=LawConfig(kind='beta', kappa_max=4.0), dropout=True),
    Arm(name='A kappa 16', law=LawConfig(kind='beta', kappa_max=16.0), dropout=True),
    Arm(name='A offset', law=LawConfig(kind='offset')), Arm(name='A min noise', law=LawConfig(kind='min_noise')))}


def plan(arm, clips):
    """The Plan of an Arm for clips with mq, vq (float [N] in [0, 1]) and golden, motion_only, visual_only (bool [N]).

    Raises ValueError where no clip is a member, or none is ever drawn.
    """
    member = {'all': np.ones(len(clips.mq), bool), 'imbalanced': clips.motion_only | clips.visual_only, 'golden': clips.golden}[arm.members]
    mq, vq = (clips.vq, clips.mq) if arm.reversed else (clips.mq, clips.vq)
    acceptance = np.where(member, acceptance_probability(mq, vq) if arm.dropout else 1.0, 0.0)
    if not acceptance.any():
        raise ValueError(f'no clip can be drawn in the arm {arm.name!r}')
    return Plan(law=law_from_quality(mq, vq, arm.law), acceptance=acceptance.astype(np.float32))


def stack(plans):
    """The Plans of P arms as one, every leaf with a leading axis [P, ...]: what a run looks up by its arm's number."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *plans)


def cumulative_shares(acceptance):
    """The cumulative shares of draws, float32 [..., N] ending in 1, of acceptance [..., N]: u ~ U(0, 1) falls on the clip to draw."""
    total = np.cumsum(np.asarray(acceptance, np.float64), axis=-1)
    return (total / total[..., -1:]).astype(np.float32)
