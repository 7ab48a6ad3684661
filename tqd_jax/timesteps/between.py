"""Laws given that t lies in a range: what an expert of a part of the noise levels is trained at, and how often."""
import jax.numpy as jnp
from jaxtyping import Array, Float, Float32

from tqd_jax.timesteps.law import Law, cdf, sample_timesteps

_EDGE = 1e-7  # a quantile level lies this far from 0 and 1


def mass_between(law: Law, lo: float, hi: float) -> Float32[Array, ' batch']:
    """P(lo <= t <= hi) [B] of each law, float32, to about 1e-5."""
    below, above = _levels(law, lo, hi)
    return above - below


def sample_between(law: Law, uniforms: Float[Array, ' batch'], lo: float, hi: float) -> Float32[Array, ' batch']:
    """t [B] of the laws given lo <= t <= hi, at uniforms [B] in (0, 1): Q(F(lo) + u (F(hi) - F(lo))), F the law's CDF and Q its quantile.

    Where the law has no mass there, to float32's accuracy, t is the nearer end; an expert of the range never draws such a clip.
    """
    below, above = _levels(law, lo, hi)
    level = below + jnp.asarray(uniforms, jnp.float32) * (above - below)
    return jnp.clip(sample_timesteps(law, jnp.clip(level, _EDGE, 1 - _EDGE)), lo, hi)


def _levels(law, lo, hi):
    size = law.alpha.shape
    return cdf(law, jnp.full(size, lo, jnp.float32)), cdf(law, jnp.full(size, hi, jnp.float32))
