"""From the Gram matrix of estimates to that of the truth: what sampling noise adds to it, and how sure it is."""
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Num, PyTree

from transfer_jax.fisher import as_dimension, dimension, fisher_products, gram_of_products
from transfer_jax.inputs import in_one_dtype
from transfer_jax.runtime.counts import counted
from transfer_jax.shrinkage import degrees_of_freedom, mixing_weight, random_effects, with_optimum
from transfer_jax.weights import source_weights


def debias_gram(gram: Float[ArrayLike, '*#batch k k'], target_size: Num[ArrayLike, '*#batch'],
                source_sizes: Num[ArrayLike, '*#batch k'] | Sequence[float], d: Num[ArrayLike, ''],
                noise: tuple[Num[ArrayLike, '*#batch'], Num[ArrayLike, '*#batch k']] | None = None) -> Float[Array, '*batch k k']:
    """G~ [..., K, K]: a stand-in for G, from G^ of estimates, whose optimal weights come near those of G itself.

    E[G^] = G + s_0 11' + diag(s), s_0 = 1/N0 and s_k = 1/N_k for efficient estimates of all d parameters: unless this is subtracted, no
    source can ever look better than four times the target set. After it the noise of K (K + 1) / 2 entries remains, which costs up to K/d
    of the target's risk. So G~ mixes two matrices, full = PSD(G^ - s_0 11' - diag(s)) and the likeliest simple = c 11' + diag(t). The
    mixing weight minimises an estimate of the risk of the shares v = u / (N0 + sum u) that the two give, mixed alike; then the mixture is
    bent until v is its optimum (transfer_jax.shrinkage). With fewer than 5 parameters G^ is first divided by max(2 - 5 / d, 0.1): there
    the choice of a mixing weight costs more than it gains.

    gram [..., K, K], target_size [...], source_sizes [..., K]; d: the parameters that were estimated. noise: (s_0 [...], s [..., K]) in
    place of 1/N, for networks (split_half_noise). A source without samples, of infinite noise, has only s_0 subtracted; without target
    samples there is no s_0. Noise of 0 is replaced by a tiny one, so that divisions stay finite. NaN or negative noise gives NaN.
    Raises ValueError where shapes do not go together, and for a d that is not above 0.
    """
    gram, target_size, source_sizes = in_one_dtype(gram, target_size, source_sizes)
    ours, theirs = (1 / target_size, 1 / source_sizes) if noise is None else in_one_dtype(*noise)
    if np.ndim(d) or gram.ndim < 2 or not theirs.ndim or gram.shape[-2:] != (theirs.shape[-1],) * 2 or not gram.shape[-1]:
        raise ValueError(f'gram must be [..., K, K], sizes or noise of the sources [..., K] with at least one source, and d one number; '
                         f'got {gram.shape}, {theirs.shape} and {np.shape(d)}')
    ours, theirs = (jnp.where(s < 0, jnp.nan, s) for s in (ours, theirs))
    shape = jnp.broadcast_shapes(gram.shape[:-1], (*ours.shape, 1), theirs.shape)
    gram = jnp.broadcast_to(gram, (*shape, shape[-1])).reshape(-1, shape[-1], shape[-1])
    ours, theirs = jnp.broadcast_to(ours, shape[:-1]).reshape(-1), jnp.broadcast_to(theirs, shape).reshape(-1, shape[-1])
    return _shrink(gram, ours, theirs, as_dimension(d, gram.dtype)).reshape(*shape, shape[-1])


@jax.jit
@jax.default_matmul_precision('highest')
def _shrink(gram, ours, theirs, d):
    """debias_gram of a flat batch: gram [B, K, K], noise of the target [B] and of the sources [B, K], d []."""
    gram = gram / jnp.clip(2 - 5 / d, 0.1, 1)
    min_noise = 1e-9 * jnp.max(jnp.diagonal(gram, axis1=1, axis2=2), 1) + 1e-18  # the caller may pass noise 0
    finite = ~jnp.isinf(theirs)
    common = jnp.where(jnp.isinf(ours) | (ours == 0), min_noise, ours)
    own = jnp.where(finite, jnp.where(theirs == 0, min_noise[:, None], theirs), 0)
    noise = common[:, None, None] + own[:, :, None] * jnp.eye(gram.shape[1], dtype=gram.dtype)[None]
    grams = jnp.stack([random_effects(gram, common, own, finite), project_psd(gram - noise)])
    sizes = jnp.where(finite, 1 / jnp.where(finite, own, 1), 0)
    u = source_weights(1.0, sizes, grams).effective_sizes
    simple, full = u / (1 / common[None, :, None] + jnp.sum(u, -1, keepdims=True))
    cost = degrees_of_freedom(grams[1], own, u[1] > 0) * jnp.sum(full, 1) / d
    part = mixing_weight(gram, simple, full, cost, common)[:, None]
    shares = simple + part * (full - simple)
    sizes_of_shares = shares / (1 - jnp.sum(shares, 1, keepdims=True)) / common[:, None]
    mixture = grams[0] + part[:, :, None] * (grams[1] - grams[0])
    return with_optimum(mixture, sizes, sizes_of_shares)


def project_psd(gram: Float[ArrayLike, '*batch k k']) -> Float[Array, '*batch k k']:
    """The nearest positive semi-definite matrix in the Frobenius norm, [..., K, K]: negative eigenvalues become zero."""
    gram = jnp.asarray(gram)
    values, vectors = jnp.linalg.eigh((gram + jnp.swapaxes(gram, -1, -2)) / 2)
    return (vectors * jnp.maximum(values, 0)[..., None, :]) @ jnp.swapaxes(vectors, -1, -2)


def split_half_noise(function: Callable, params: PyTree, difference: PyTree, batch: PyTree, *, kind: str | None = None,
                     d: Num[ArrayLike, ''] | None = None, minibatch: int = 256) -> Float[Array, '']:
    """s = |theta_a - theta_b|^2_J / (4 d): the noise level of a fit, for debias_gram, from fits a and b of the two halves of its data.

    difference: theta_a - theta_b, a pytree like params; the rest as in fisher_gram. Use it in place of 1/N where a fit's variance is not
    d/N: for networks that were stopped early or have more parameters than data.
    """
    a = fisher_products(function, params, iter([difference]), batch, kind=kind, minibatch=minibatch)
    return gram_of_products(a, dimension(params) if d is None else d)[0, 0] / 4


def gram_uncertainty(function: Callable, params: PyTree, deltas: PyTree | Iterator, batch: PyTree, *, kind: str | None = None,
                     d: Num[ArrayLike, ''] | None = None, minibatch: int = 256,
                     folds: int = 20) -> tuple[Float[Array, 'k k'], Float[Array, '{folds} k k']]:
    """(standard errors [K, K], replicates [folds, K, K]) of fisher_gram over its examples, by the delete-a-group jackknife.

    Replicate j is G without every example whose number is j modulo folds. plan() takes them for its intervals: where it gets
    debias_gram(gram, *rest), it must get debias_gram(replicates, *rest). Raises ValueError with fewer examples than
    folds, or fewer than 2 folds.
    """
    a = fisher_products(function, params, deltas, batch, kind=kind, minibatch=minibatch)
    if not 2 <= folds <= a.shape[1]:
        raise ValueError(f'{counted(a.shape[1], "example")} cannot be cut into {counted(folds, "fold")}')
    d = dimension(params) if d is None else d
    parts = [a[:, fold::folds] for fold in range(folds)]
    sums = jnp.stack([gram_of_products(part, d) * part.shape[1] for part in parts])
    counts = jnp.asarray([part.shape[1] for part in parts], sums.dtype)[:, None, None]
    replicates = (jnp.sum(sums, 0, keepdims=True) - sums) / (jnp.sum(counts) - counts)
    spread = jnp.sum((replicates - jnp.mean(replicates, 0, keepdims=True)) ** 2, 0)
    return jnp.sqrt((folds - 1) / folds * spread), replicates
