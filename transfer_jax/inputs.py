"""Problems as they are given -> arrays of one dtype and one batch axis, with a status for each that cannot be solved."""
import jax
import jax.numpy as jnp

from transfer_jax.solution import Status

ASYMMETRY = 1e-3  # relative; less is rounding, and averaged away


def in_one_dtype(*values):
    """The values as arrays of float64 where one of them is an array of it (and JAX has it enabled), else of float32."""
    double = any(getattr(value, 'dtype', None) == jnp.float64 and not getattr(value, 'weak_type', False) for value in values)
    return [jnp.asarray(value, jnp.float64 if double and jax.config.jax_enable_x64 else jnp.float32) for value in values]


def as_batch(target_size, source_sizes, gram):
    """(target [B], sizes [B, K], gram [B, K, K], status int8 [B], batch shape) of arguments whose leading axes broadcast.

    Problems with a status other than SOLVED are replaced by harmless ones. Raises ValueError where the shapes do not go together.
    """
    target, sizes, gram = in_one_dtype(target_size, source_sizes, gram)
    if sizes.ndim < 1 or gram.ndim < 2 or gram.shape[-2:] != (sizes.shape[-1],) * 2:
        raise ValueError(f'source_sizes must be [..., K] and gram [..., K, K], got {sizes.shape} and {gram.shape}')
    sources = sizes.shape[-1]
    shape = jnp.broadcast_shapes(target.shape, sizes.shape[:-1], gram.shape[:-2])
    target = jnp.broadcast_to(target, shape).reshape(-1)
    sizes = jnp.broadcast_to(sizes, (*shape, sources)).reshape(-1, sources)
    gram = jnp.broadcast_to(gram, (*shape, sources, sources)).reshape(-1, sources, sources)
    status = _status(target, sizes, gram)
    solvable = status == Status.SOLVED
    gram = jnp.where(solvable[:, None, None], (gram + gram.swapaxes(1, 2)) / 2, 0)
    return jnp.where(solvable, target, 1), jnp.where(solvable[:, None], sizes, 1), gram, status, shape


def _status(target, sizes, gram):
    finite = jnp.isfinite(target) & jnp.isfinite(sizes).all(1) & jnp.isfinite(gram).all((1, 2))
    negative = (target < 0) | (sizes < 0).any(1)
    diagonal = jnp.diagonal(gram, axis1=1, axis2=2)
    root = jnp.sqrt(jnp.maximum(diagonal, 0))
    bound = root[:, :, None] * root[:, None, :]
    tolerance = 64 * sizes.shape[1] * jnp.finfo(gram.dtype).eps
    largest = jnp.max(diagonal, 1)[:, None, None]
    outside = (jnp.abs(gram) > (1 + ASYMMETRY) * bound + tolerance * largest).any((1, 2))  # |G_kl| <= sqrt(G_kk G_ll) where G is PSD
    lopsided = (jnp.abs(gram - gram.swapaxes(1, 2)) > ASYMMETRY * bound + tolerance * largest).any((1, 2))
    status = jnp.where((diagonal < -tolerance * largest[..., 0]).any(1) | outside | lopsided, Status.NOT_PSD, Status.SOLVED)
    return jnp.where(~finite, Status.NOT_FINITE, jnp.where(negative, Status.NEGATIVE_SIZE, status)).astype(jnp.int8)
