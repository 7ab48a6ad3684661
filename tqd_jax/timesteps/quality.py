"""From what a clip is worth, mq and vq in [0, 1], to when it teaches (its Law) and how often (p_keep)."""
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from tqd_jax.timesteps.law import Base, log_prob, make_law

KINDS = ('uniform', 'beta', 'exact_base', 'offset', 'min_noise')
QUADRANTS = ('poor', 'look', 'motion', 'golden')  # the index is 2 [mq >= 1/2] + [vq >= 1/2]
AT_ONCE = 2000  # clips whose densities are in memory
SPOKEN = ('poor', 'look only', 'motion only', 'golden')  # the same, as people read it


@dataclasses.dataclass(frozen=True, kw_only=True)
class LawConfig:
    """How mq and vq become a law; the constants are the paper's where it has them.

    kind: 'uniform' (the base law for every clip), 'beta' (the paper's), 'exact_base' (the paper's tilt, through the base's inverse CDF),
    'offset' (a logit offset for clips good at one thing only, as SANA-Video 2.0), 'min_noise' (only t >= strength (1 - vq), as Ambient
    Diffusion Omni).
    """
    kind: str = 'beta'
    base: Base = Base()
    shift: float = 1.0
    kappa_base: float = 2.0
    kappa_max: float = 8.0
    min_parameter: float = 0.2
    offset: float = 1.1
    strength: float = 0.5

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f'a law is one of {", ".join(KINDS)}, got {self.kind!r}')
        if not 0 < self.kappa_base <= self.kappa_max:
            raise ValueError(f'a law needs 0 < kappa_base <= kappa_max, got {self.kappa_base} and {self.kappa_max}')


def law_from_quality(mq, vq, config):
    """Laws [B] of clips with normalised motion mq [B] and look vq [B] in [0, 1]: each kind of LawConfig is one line of its paper.

    Raises ValueError where a score is outside [0, 1] or not finite.
    """
    mq, vq = _checked(mq), _checked(vq)
    common = dict(base=config.base, shift=config.shift)
    if config.kind == 'beta':
        alpha, beta = tqd_parameters(mq, vq, config.kappa_base, config.kappa_max, config.min_parameter)
        return make_law(mq.size, alpha=alpha, beta=beta, shift=config.shift)
    if config.kind == 'exact_base':
        alpha, beta = tqd_parameters(mq, vq, 2.0, config.kappa_max, config.min_parameter)  # Beta(1, 1) at mq = vq: the base itself
        return make_law(mq.size, alpha=alpha, beta=beta, **common)
    if config.kind == 'offset':
        sign = np.where(mq >= 0.5, 1.0, 0.0) - np.where(vq >= 0.5, 1.0, 0.0)
        return make_law(mq.size, base=config.base, shift=config.shift * np.exp(config.offset * sign))
    if config.kind == 'min_noise':
        return make_law(mq.size, t_min=config.strength * (1 - vq), **common)
    return make_law(mq.size, **common)


def tqd_parameters(mq, vq, kappa_base, kappa_max, min_parameter=0.0):
    """TQD's Beta parameters (arXiv 2603.25527): (mu kappa, (1 - mu) kappa).

    mu = 0.5 + 0.5 (mq - vq), kappa = kappa_base + (kappa_max - kappa_base) |mq - vq|.
    At |mq - vq| -> 1 the smaller one tends to 0 and the density diverges at an end of [0, 1]; min_parameter bounds it from below.
    """
    mu = 0.5 + 0.5 * (mq - vq)
    kappa = kappa_base + (kappa_max - kappa_base) * np.abs(mq - vq)
    return np.maximum(mu * kappa, min_parameter), np.maximum((1 - mu) * kappa, min_parameter)


def keep_probability(mq, vq):
    """Quality dropout (arXiv 2603.25527): p_keep = max(mq, vq), the probability that a clip takes part in an epoch."""
    return np.maximum(_checked(mq), _checked(vq))


def quadrant(mq, vq):
    """Index into QUADRANTS [B]: 0 poor, 1 look only, 2 motion only, 3 golden; the thresholds are 1/2."""
    return 2 * (np.asarray(mq) >= 0.5).astype(np.int32) + (np.asarray(vq) >= 0.5).astype(np.int32)


def mean_density(laws_of, clips, weights, t):
    """sum_i w_i p_i(t) / sum_i w_i at every t [G]: what the laws laws_of(clips) say, clips [N] by weights [N], in flat memory."""
    total = np.zeros(len(t))
    for start in range(0, len(clips), AT_ONCE):
        some, weight = clips[start:start + AT_ONCE], np.zeros(AT_ONCE, np.float32)  # of one size, so that one program serves all
        weight[:len(some)] = weights[start:start + AT_ONCE]
        total += np.asarray(_weighted_density(laws_of(np.resize(some, AT_ONCE)), weight, np.asarray(t, np.float32)))
    return total / np.sum(weights)


@jax.jit
def _weighted_density(laws, weights, grid):
    return jax.lax.map(lambda t: jnp.exp(log_prob(laws, jnp.full(weights.size, t))) @ weights, grid)


def _checked(score):
    score = np.atleast_1d(np.asarray(score, np.float64))
    if not ((score >= 0) & (score <= 1)).all():
        raise ValueError(f'mq and vq lie in [0, 1], got {score[~((score >= 0) & (score <= 1))][:3]}')
    return score
