"""The arguments of a solver -> arrays of one dtype and one batch axis, with a status for each problem that cannot be solved."""
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from transfer_jax.solver.solution import BLURRED, Status

ASYMMETRY = 1e-3  # relative; a smaller one counts as rounding, and G is replaced by (G + G') / 2


def in_one_dtype(*values: ArrayLike) -> list[jax.Array]:
    """The values as arrays of float64 where one of them is an array of it (and JAX has it enabled), else of float32.

    Raises ValueError for complex values.
    """
    if any(jnp.issubdtype(jnp.result_type(leaf), jnp.complexfloating) for leaf in jax.tree.leaves(values)):
        raise ValueError('sizes, gram and weights are real numbers, and one of these is complex; give its real part')
    double = any(getattr(value, 'dtype', None) == jnp.float64 and not getattr(value, 'weak_type', False) for value in values)
    return [jnp.asarray(value, jnp.float64 if double and jax.config.jax_enable_x64 else jnp.float32) for value in values]


def rounding(gram: ArrayLike) -> float:
    """The relative rounding of a gram in its own dtype, which may be less precise than the dtype of the computation."""
    dtype = getattr(gram, 'dtype', jnp.float32)
    return float(jnp.finfo(dtype if jnp.issubdtype(dtype, jnp.floating) else jnp.float32).eps)


def as_batch(target_size: ArrayLike, source_sizes: ArrayLike, gram: ArrayLike) -> tuple[
        jax.Array, jax.Array, jax.Array, jax.Array, tuple[int, ...], tuple[jax.Array, ...]]:
    """(target [B], sizes [B, K], gram [B, K, K], status int8 [B], batch shape, inputs) of arguments whose leading axes broadcast.

    Problems with a status other than SOLVED are replaced by harmless ones; inputs: target, sizes and gram as they came.
    Raises ValueError where the shapes do not go together.
    """
    eps = rounding(gram)
    target, sizes, gram = in_one_dtype(target_size, source_sizes, gram)
    if sizes.ndim < 1 or gram.ndim < 2 or gram.shape[-2:] != (sizes.shape[-1],) * 2 or not sizes.shape[-1]:
        raise ValueError(f'source_sizes must be [..., K] and gram [..., K, K] with at least one source, got {sizes.shape} and {gram.shape}')
    sources = sizes.shape[-1]
    shape = jnp.broadcast_shapes(target.shape, sizes.shape[:-1], gram.shape[:-2])
    target = jnp.broadcast_to(target, shape).reshape(-1)
    sizes = jnp.broadcast_to(sizes, (*shape, sources)).reshape(-1, sources)
    gram = jnp.broadcast_to(gram, (*shape, sources, sources)).reshape(-1, sources, sources)
    status = _status(target, sizes, gram, max(eps, float(jnp.finfo(gram.dtype).eps)))
    solvable, inputs = status == Status.SOLVED.value, (target, sizes, gram)
    gram = jnp.where(solvable[:, None, None], (gram + gram.swapaxes(1, 2)) / 2, 0)
    return jnp.where(solvable, target, 1), jnp.where(solvable[:, None], sizes, 1), gram, status, shape, inputs


def _status(target, sizes, gram, eps):
    sources = sizes.shape[1]
    diagonal = jnp.diagonal(gram, axis1=1, axis2=2)
    tolerance = 64 * sources * eps * jnp.max(diagonal, 1)
    root = jnp.sqrt(jnp.maximum(diagonal, 0))
    bound = root[:, :, None] * root[:, None, :]
    # |G_kl| <= sqrt(G_kk G_ll) where G is PSD
    excess = jnp.maximum(jnp.abs(gram) - (1 + ASYMMETRY) * bound, jnp.abs(gram - gram.swapaxes(1, 2)) - ASYMMETRY * bound)
    # NaN or infinite where any entry is; a product with ones is the fastest sum of a row
    beyond = jnp.sum(jnp.maximum(excess - tolerance[:, None, None], 0) @ jnp.ones(sources, gram.dtype), 1)
    finite = jnp.isfinite(beyond + target + jnp.sum(sizes, 1))
    negative = (target < 0) | (jnp.min(sizes, 1) < 0)
    fine = (beyond == 0) & (jnp.min(diagonal, 1) >= -tolerance)
    status = jnp.where(negative, Status.NEGATIVE_SIZE, jnp.where(fine, Status.SOLVED, Status.NOT_PSD))
    return jnp.where(finite, status, Status.NOT_FINITE).astype(jnp.int8)


def semidefinite(gram: jax.Array, eps: float) -> jax.Array:
    """Whether each gram [B, K, K] is positive semi-definite, bool [B], up to eigenvalues that rounding by eps makes negative."""
    largest = jnp.max(jnp.diagonal(gram, axis1=1, axis2=2), 1)[:, None, None]
    lift = 64 * gram.shape[-1] * max(eps, float(jnp.finfo(gram.dtype).eps)) * jnp.eye(gram.shape[-1], dtype=gram.dtype)[None]
    return jnp.isfinite(jax.lax.linalg.cholesky(gram / jnp.where(largest > 0, largest, 1) + lift, symmetrize_input=False)).all((1, 2))


def without_blur(status: jax.Array, quantities: jax.Array, gram: jax.Array, value: jax.Array, precision: float) -> jax.Array:
    """The status int8 [B], INACCURATE in place of SOLVED where rounding of gram by a relative `precision` moves n'G n by more than BLURRED.

    quantities n [B, K]; value [B]: what n'G n is a part of, S^2 F of an optimum, or the sources' worth. The errors of the entries, at most
    precision / 2 of each, are independent of each other: one standard deviation counts.
    """
    share = quantities / jnp.sqrt(jnp.where(value > 0, value, 1))[:, None]
    entries = share[:, :, None] * gram * share[:, None, :]
    blur = max(precision, float(jnp.finfo(gram.dtype).eps)) / 2 * jnp.sqrt(jnp.sum(entries * entries, (1, 2)))
    return jnp.where((status == Status.SOLVED.value) & ~(blur <= BLURRED), jnp.int8(Status.INACCURATE.value), status)
