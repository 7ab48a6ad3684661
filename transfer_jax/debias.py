"""From the Gram matrix of estimates to that of the truth: what sampling noise adds to it, and how sure it is."""
import jax.numpy as jnp

from transfer_jax.fisher import dimension, fisher_products, gram_of_products
from transfer_jax.inputs import in_one_dtype


def debias_gram(gram, target_size, source_sizes, d, noise=None):
    """PSD(G^ - f (s_0 11' + diag(s_k))), f = max(0, 1 - (K + 1) / d): G without what the estimates' own noise adds to it.

    E[G^] = G + s_0 11' + diag(s), s_0 = 1/N0 and s_k = 1/N_k for efficient estimates of all d parameters: unless this is subtracted, no
    source can ever look better than four times the target set. At small d subtracting all of it gambles on the noise that is left, hence f.
    gram [..., K, K], target_size [...], source_sizes [..., K]; d: the parameters that were estimated. noise: (s_0 [...], s [..., K]) in
    place of 1/N, for networks (split_half_noise). Returns [..., K, K]; a source without samples, of infinite noise, is left as it is.
    """
    gram, target_size, source_sizes = in_one_dtype(gram, target_size, source_sizes)
    ours, theirs = (1 / target_size, 1 / source_sizes) if noise is None else in_one_dtype(*noise)
    sources = gram.shape[-1]
    shrink = max(0.0, 1 - (sources + 1) / d)
    batch = jnp.broadcast_shapes(gram.shape[:-2], ours.shape, theirs.shape[:-1])
    finite = lambda x: jnp.where(jnp.isfinite(x), x, 0)
    common = finite(jnp.broadcast_to(ours, batch))[..., None, None] * jnp.ones((sources, sources), gram.dtype).reshape(
        *[1] * len(batch), sources, sources)
    own = finite(jnp.broadcast_to(theirs, (*batch, sources)))[..., None] * jnp.eye(sources, dtype=gram.dtype).reshape(
        *[1] * len(batch), sources, sources)
    return project_psd(jnp.broadcast_to(gram, common.shape) - shrink * (common + own))


def project_psd(gram):
    """The nearest positive semi-definite matrix in the Frobenius norm, [..., K, K]: negative eigenvalues become zero."""
    values, vectors = jnp.linalg.eigh((gram + jnp.swapaxes(gram, -1, -2)) / 2)
    return (vectors * jnp.maximum(values, 0)[..., None, :]) @ jnp.swapaxes(vectors, -1, -2)


def split_half_noise(function, params, difference, batch, *, kind=None, d=None, minibatch=256):
    """s = |theta_a - theta_b|^2_J / (4 d): the noise level of a fit, for debias_gram, from fits a and b of the two halves of its data.

    difference: theta_a - theta_b, a pytree like params; the rest as in fisher_gram. It takes the place of 1/N where d/N does not hold: for
    networks that were stopped early or have more parameters than data.
    """
    a = fisher_products(function, params, iter([difference]), batch, kind=kind, minibatch=minibatch)
    return gram_of_products(a, d or dimension(params))[0, 0] / 4


def gram_uncertainty(function, params, deltas, batch, *, kind=None, d=None, minibatch=256, folds=20):
    """(standard errors [K, K], replicates [folds, K, K]) of fisher_gram over its examples, by the delete-a-group jackknife.

    Replicate j is G without every example whose number is j modulo folds. plan() takes them for its intervals: where it gets
    debias_gram(gram, *rest), it must get debias_gram(replicates, *rest). Raises ValueError with fewer examples than folds.
    """
    a = fisher_products(function, params, deltas, batch, kind=kind, minibatch=minibatch)
    if a.shape[1] < folds:
        raise ValueError(f'{a.shape[1]} examples cannot be cut into {folds} folds')
    d = d or dimension(params)
    parts = [a[:, fold::folds] for fold in range(folds)]
    sums = jnp.stack([gram_of_products(part, d) * part.shape[1] for part in parts])
    counts = jnp.asarray([part.shape[1] for part in parts], sums.dtype)[:, None, None]
    replicates = (jnp.sum(sums, 0, keepdims=True) - sums) / (jnp.sum(counts) - counts)
    spread = jnp.sum((replicates - jnp.mean(replicates, 0, keepdims=True)) ** 2, 0)
    return jnp.sqrt((folds - 1) / folds * spread), replicates
