"""The predicted error F of any weights and quantities, and the closed forms of one source.

N0 target samples, N_k samples of source k; gram G = Delta' J Delta / d of the sources' parameter differences [K, K]. The expected KL
from the true target law to the fitted one is d/2 F.
"""
from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Num

from transfer_jax.inputs import in_one_dtype


def predicted_error(target_size: Num[ArrayLike, '*#batch'], source_sizes: Num[ArrayLike, '*#batch k'] | Sequence[float],
                    gram: Float[ArrayLike, '*#batch k k'],
                    weights: Num[ArrayLike, '*#batch k'] | None = None,
                    quantities: Num[ArrayLike, '*#batch k'] | None = None) -> Float[Array, '*batch']:
    """F = (N0 + sum_k w_k^2 n_k + u' G u) / (N0 + sum_k u_k)^2 with u_k = w_k n_k (arXiv:2601.10779).

    target_size [...], source_sizes [..., K], gram [..., K, K]; weights [..., K], 1 if None (arXiv:2502.04242's F); quantities [..., K],
    source_sizes if None. Leading axes broadcast. Returns [...], infinite where no sample is used.
    """
    quantities = source_sizes if quantities is None else quantities
    target_size, quantities, gram, weights = in_one_dtype(target_size, quantities, gram, 1.0 if weights is None else weights)
    batch = jnp.broadcast_shapes(target_size.shape, quantities.shape[:-1], gram.shape[:-2], weights.shape[:-1])
    quantities, weights = (jnp.broadcast_to(x, (*batch, quantities.shape[-1])) for x in (quantities, weights))
    target_size, gram = jnp.broadcast_to(target_size, batch), jnp.broadcast_to(gram, (*batch, *gram.shape[-2:]))
    effective = weights * quantities
    bias = jnp.einsum('...k,...kl,...l->...', effective, gram, effective, precision='highest')
    total = target_size + jnp.sum(effective, -1)
    return jnp.where(total > 0, (target_size + jnp.sum(weights * effective, -1) + bias) / jnp.where(total > 0, total, 1) ** 2, jnp.inf)


def single_source_weight(source_size: Num[ArrayLike, '*#batch'], gram: Num[ArrayLike, '*#batch']) -> Float[Array, '*batch']:
    """w* = 1 / (1 + N1 G) of one source, whatever N0 is (arXiv:2601.10779); arguments broadcast."""
    source_size, gram = in_one_dtype(source_size, gram)
    return 1 / (1 + source_size * gram)


def single_source_quantity(target_size: Num[ArrayLike, '*#batch'], source_size: Num[ArrayLike, '*#batch'],
                           gram: Num[ArrayLike, '*#batch']) -> Float[Array, '*batch']:
    """n* = N1 where N0 G <= 1/2, else min(N1, N0 / (2 N0 G - 1)) (arXiv:2502.04242); arguments broadcast."""
    target_size, source_size, gram = in_one_dtype(target_size, source_size, gram)
    excess = 2 * target_size * gram - 1
    return jnp.where(excess > 0, jnp.minimum(source_size, target_size / jnp.where(excess > 0, excess, 1)), source_size)
