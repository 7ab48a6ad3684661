"""Per-example timestep laws: an array of distributions on [0, 1], sampled and evaluated inside the jitted step.

A law is the chain

    v ~ U(0, 1)                        quantile level, stratified over the batch
    u = I^-1(v; alpha, beta)           Beta quantile: the tilt of timestep-aware quality decoupling
    r = floor + (1 - floor) u          minimum noise: only the noisier part of the base
    s = B^-1(r)                        base law: logit-normal(loc, scale) where scale > 0, else the table
    t = shift s / (1 + (shift - 1) s)  flow shift, which is an offset of log(shift) on logit(t)

so uniform, Beta, exact-base, logit offset, minimum noise and tabulated laws differ in numbers only, never in shape.
"""
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import betainc, betaln, ndtri, xlog1py, xlogy
from jaxtyping import Array, ArrayLike, Float, Float32, Num, PRNGKeyArray

BINS = 120  # bins of a tabulated density; a histogram of n bins is exact where n divides it
_NEWTON_STEPS = 7
Parameter = Num[ArrayLike, ''] | Num[ArrayLike, '{size}']  # one for all laws, or one for each


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Law:
    """One law of t for every example; every leaf is float32 with the leading axis B.

    alpha, beta: [B] > 0, the Beta law of the quantile level. floor: [B] in [0, 1), the base's CDF at the least noise allowed.
    loc, scale: [B], logit-normal base where scale > 0. shift: [B] > 0, flow shift. table: [B, BINS + 1], CDF of the tabulated base at
    t = 0, 1/BINS, ..., 1.
    """
    alpha: Float32[ArrayLike, '*batch']
    beta: Float32[ArrayLike, '*batch']
    floor: Float32[ArrayLike, '*batch']
    loc: Float32[ArrayLike, '*batch']
    scale: Float32[ArrayLike, '*batch']
    shift: Float32[ArrayLike, '*batch']
    table: Float32[ArrayLike, '*batch knots']


@dataclasses.dataclass(frozen=True, kw_only=True)
class Base:
    """The law before any tilt: uniform, logit-normal(loc, scale) where scale > 0, or a density tabulated on equal bins of [0, 1].

    Raises ValueError on a negative scale, or a density that is negative, empty, or not finite.
    """
    loc: float = 0.0
    scale: float = 0.0
    density: tuple = (1.0,)

    def __post_init__(self):
        density = np.asarray(self.density, np.float64)
        if not (np.isfinite(self.loc) and np.isfinite(self.scale) and self.scale >= 0):
            raise ValueError(f'a logit-normal base needs a finite loc and a scale >= 0, got loc={self.loc}, scale={self.scale}')
        if density.ndim != 1 or not density.size or not np.isfinite(density).all() or (density < 0).any() or not density.sum() > 0:
            raise ValueError(f'a tabulated density needs finite values >= 0, not all 0, got {self.density}')

    def table(self) -> Float32[np.ndarray, ' knots']:
        """CDF of the tabulated density at t = 0, 1/BINS, ..., 1: float32 [BINS + 1]."""
        mass = np.asarray(self.density, np.float64)
        cdf = np.concatenate([[0.0], np.cumsum(mass)]) / mass.sum()
        return np.interp(np.linspace(0, 1, BINS + 1), np.linspace(0, 1, mass.size + 1), cdf).astype(np.float32)


def make_law(size: int, *, alpha: Parameter = 1.0, beta: Parameter = 1.0, base: Base = Base(), t_min: Parameter = 0.0,
             shift: Parameter = 1.0) -> Law:
    """The laws of `size` examples as NumPy float32 arrays; alpha, beta, t_min and shift are scalars or [size].

    t_min in [0, 1) is the least t after the shift: the law is conditioned on t >= t_min. Raises ValueError where a value is out of range.
    """
    row = lambda x: np.broadcast_to(np.asarray(x, np.float32), (size,)).copy()
    for name, value in (('alpha', alpha), ('beta', beta), ('shift', shift), ('t_min', t_min)):
        ok = np.greater_equal(t_min, 0) & np.less(t_min, 1) if name == 't_min' else np.greater(value, 0)
        if not np.all(ok & np.isfinite(value)):
            raise ValueError(f'a law needs alpha, beta, shift > 0 and t_min in [0, 1), got {name} = {value}')
    table = np.broadcast_to(base.table(), (size, BINS + 1)).copy()
    law = Law(alpha=row(alpha), beta=row(beta), floor=row(0), loc=row(base.loc), scale=row(base.scale), shift=row(shift), table=table)
    if not np.any(t_min):
        return law
    floor = np.asarray(_base_cdf(law, _unshift(row(t_min), law.shift)))
    if (floor >= 1).any():
        raise ValueError(f'the base law has no mass above t_min = {t_min}')
    return dataclasses.replace(law, floor=floor)


def sample_timesteps(law: Law, uniforms: Float[ArrayLike, ' batch']) -> Float32[Array, ' batch']:
    """t [B] of the laws at quantile levels v = uniforms [B] in (0, 1): each law's quantile function. float32 in [0, 1]."""
    r = law.floor + (1 - law.floor) * beta_quantile(jnp.asarray(uniforms, jnp.float32), law.alpha, law.beta)
    s = jnp.where(law.scale > 0, jax.nn.sigmoid(law.loc + law.scale * ndtri(r)), jax.vmap(_table_quantile)(r, law.table))
    return law.shift * s / (1 + (law.shift - 1) * s)


def log_prob(law: Law, t: Float[ArrayLike, ' batch']) -> Float32[Array, ' batch']:
    """Log density [B] of each law at its t [B], by change of variables along the chain; -inf where the law has no mass."""
    t = jnp.asarray(t, jnp.float32)
    s = _unshift(t, law.shift)
    r = (_base_cdf(law, s) - law.floor) / (1 - law.floor)
    inside = (r >= 0) & (t >= 0) & (t <= 1)
    r = jnp.clip(r, 0, 1)
    tilt = xlogy(law.alpha - 1, r) + xlog1py(law.beta - 1, -r) - betaln(law.alpha, law.beta)
    jacobian = jnp.log(law.shift) - 2 * jnp.log(law.shift - (law.shift - 1) * t) - jnp.log1p(-law.floor)
    return jnp.where(inside, tilt + _base_log_density(law, s) + jacobian, -jnp.inf)


def cdf(law: Law, t: Float[ArrayLike, ' batch']) -> Float32[Array, ' batch']:
    """P(t' <= t) [B] of each law at its t [B], in closed form back along the chain: the inverse of sample_timesteps."""
    t = jnp.asarray(t, jnp.float32)
    r = jnp.clip((_base_cdf(law, _unshift(t, law.shift)) - law.floor) / (1 - law.floor), 0, 1)
    return jnp.where((law.alpha == 1) & (law.beta == 1), r, betainc(law.alpha, law.beta, r))


def stratified_uniforms(key: PRNGKeyArray, uniforms: Float[ArrayLike, ' batch']) -> Float32[Array, ' batch']:
    """Quantile levels v_i = (perm(i) + U_i) / B, float32 [B]: each uniform on (0, 1), together one in every B-th of it.

    uniforms: the U_i [B] in [0, 1).
    """
    uniforms = jnp.asarray(uniforms, jnp.float32)
    size = uniforms.shape[0]
    strata = jax.random.permutation(key, size).astype(jnp.float32)
    return jnp.clip((strata + uniforms) / size, 1e-7, 1 - 1e-7)


def beta_quantile(v: Float[Array, '*n'], alpha: Float[ArrayLike, '*n'], beta: Float[ArrayLike, '*n']) -> Float[Array, '*n']:
    """x with I_x(alpha, beta) = v, by Newton's method on logit(I) as a function of logit(x), kept inside a shrinking bracket.

    logit(I) is nearly linear in logit(x) in both tails (slopes alpha and beta), so a few steps reach float32's accuracy for any
    alpha, beta >= 0.05.
    """
    target = jnp.log(v) - jnp.log1p(-v)

    def step(_, carry):
        y, low, high = carry
        lower, upper = betainc(alpha, beta, jax.nn.sigmoid(y)), betainc(beta, alpha, jax.nn.sigmoid(-y))
        gap = jnp.log(lower) - jnp.log(upper) - target
        low, high = jnp.where(gap < 0, y, low), jnp.where(gap >= 0, y, high)
        log_density = alpha * jax.nn.log_sigmoid(y) + beta * jax.nn.log_sigmoid(-y) - betaln(alpha, beta)
        newton = y - gap * jnp.exp(jnp.log(lower) + jnp.log(upper) - log_density)
        return jnp.where((newton >= low) & (newton <= high), newton, (low + high) / 2), low, high

    start = jnp.log(alpha) - jnp.log(beta) + 0 * v
    bound = jnp.full_like(start, 87.0)  # sigmoid(-87) is float32's smallest normal number
    y, _, _ = jax.lax.fori_loop(0, _NEWTON_STEPS, step, (start, -bound, bound))
    return jnp.where((alpha == 1) & (beta == 1), v, jax.nn.sigmoid(y))  # the base law stays exact to the last bit


def _unshift(t, shift):
    return t / (shift - (shift - 1) * t)


def _base_cdf(law, s):
    logit_normal = jax.scipy.special.ndtr((jax.scipy.special.logit(s) - law.loc) / jnp.where(law.scale > 0, law.scale, 1.0))
    return jnp.where(law.scale > 0, logit_normal, jax.vmap(_table_cdf)(s, law.table))


def _base_log_density(law, s):
    scale = jnp.where(law.scale > 0, law.scale, 1.0)
    z = (jax.scipy.special.logit(s) - law.loc) / scale
    logit_normal = -0.5 * (z * z + jnp.log(2 * jnp.pi)) - jnp.log(scale) - jnp.log(s) - jnp.log1p(-s)
    edge = (s <= 0) | (s >= 1)  # a logit-normal density vanishes at both ends, where its formula is inf - inf
    return jnp.where(law.scale > 0, jnp.where(edge, -jnp.inf, logit_normal), jax.vmap(_table_log_density)(s, law.table))


def _table_bin(s):
    return jnp.clip((s * BINS).astype(jnp.int32), 0, BINS - 1)


def _table_cdf(s, table):
    j = _table_bin(s)
    return table[j] + (s * BINS - j.astype(s.dtype)) * (table[j + 1] - table[j])


def _table_log_density(s, table):
    j = _table_bin(s)
    return jnp.log((table[j + 1] - table[j]) * BINS)


def _table_quantile(r, table):
    j = jnp.clip(jnp.searchsorted(table, r, side='right') - 1, 0, BINS - 1).astype(jnp.int32)
    mass = table[j + 1] - table[j]
    inside = (r - table[j]) / jnp.where(mass > 0, mass, 1.0)
    return (j.astype(r.dtype) + jnp.clip(inside, 0, 1)) / BINS
