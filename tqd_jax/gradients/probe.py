"""The learned law: from gradients of a probe model, how often each group of clips should teach in each noise bin.

One noise bin. Group k has N_k clips, and g_k is the expected gradient of its loss at the probe's weights theta; group 0 is the target: a
few clips that no run trains on, or the group whose clips are as all should be.

1. Local model. With one curvature J for all groups, g_k = J (theta - theta_k), where theta_k is what group k alone would teach. So,
   wherever the probe stands, theta_k - theta_0 = -J^-1 delta_k with delta_k = g_k - g_0.
2. Draws. Of n draws in this bin a share q_k goes to group k, to all its clips alike; sum q = 1. The fit is theta_0 - J^-1 (noise
   + sum_k q_k delta_k). A draw's gradient has the covariance V = V_clip + V_noise, over clips, and over (t, eps) for one clip, alike
   for all groups. That of the noise is

       V / n  +  sum_k q_k^2 V_clip / N_k      less terms in 1 / (n N_k),

   the first term the same for every q: with equal steps, groups differ in their bias and in how few clips they repeat, and in nothing else.
3. Risk. The target's excess loss |fit - theta_0|_J^2 / 2 is, but for the constant term, half of

       sum_k q_k^2 tr(J^-1 V_clip) / N_k  +  q' Gamma q,      Gamma_kl = delta_k' J^-1 delta_l.

4. The diagonal Fisher. J is d x d and unknown. Take J = c diag(V): V is the Fisher information of a log-likelihood, and in proportion to it
   for any loss that is one but for its scale. Then tr(J^-1 V) = d / c whatever the correlations in V are, c cancels, and

       risk  ~  q' (diag(rho / N) + G) q,      G_kl = sum_p delta_kp delta_lp / V_p / d,      rho = sum_p V_clip,p / V_p / d,

   which no scaling of the loss or of a single parameter changes. All of V would be d^2 numbers, to invert from far fewer gradients.
5. Optimum. This is UOWQ's problem (arXiv 2601.10779) with sizes N / rho and no target samples: u minimises u' (diag(rho / N) + G) u / 2
   - 1'u over u >= 0, and q = u / sum u. Bins are problems of their own, solved as one batch: it is assumed that what is learned in one
   does not bind another, as if the network had separate weights for each.
6. The law. Bins keep the equal shares of all draws that the uniform law gives them. What a clip of group k counts there, relative to
   uniform training, is w_k(j) = q_k(j) N / N_k with N all clips: tqd_jax.timesteps.learned makes of w densities and rates.

Noise. Means of C chunks of m clips have E delta^_k' V^-1 delta^_l / d = G_kl + (1 + [k = l]) / (C m), with one draw of noise a clip: the
plug-in makes every group look worse than it is, and all alike. Products of different chunks have no such term, whatever the noise is
(tqd_jax.gradients.alignment). Each chunk is drawn twice, as halves a and b with the same clips and other noise: <g_a, g_b> within chunks
less that between them is V_clip / m, which gives rho. V is the pooled variance of halves between the C / 2 chunks of a fold,
with S (C / 2 - 1) degrees of freedom nu or up to twice as many.
Were it taken of the chunks that are multiplied, a part 2 / (nu - 2) of the noise would come
back, and groups just like the target would lose most of their share: so chunks are two folds, and each is multiplied in units of the
other's V. What is left, nu / (nu - 2), is a factor of G and rho alike. The unbiased G is not semi-definite where it is all noise: the
nearest matrix that is takes its place. The jackknife over chunks, through the solver, says how sure q is.
"""
import jax
import jax.numpy as jnp
import numpy as np

from tqd_jax.gradients.bins import products_by_bin
from tqd_jax.gradients.products import WHOLE, LayerGroups, Products, chunk_gradient, gradient_products, gradient_sums
from transfer_jax.runtime.counts import counted

MIN_CHUNKS = 6  # chunks: three in each fold, of which the jackknife leaves out one


def probe_chunks(groups, chunks, size, seed):
    """(rows, examples) [2, C / 2, 2 S, m]: two folds of chunks of S groups, each the rows of its clips, the target's first: halves a of
    all groups, then halves b.

    m = size clips of a chunk are in no other one; the halves have the same rows and other examples, hence other noise. seed: of which
    clips, and of which noise. Raises ValueError where a group has fewer than C m clips, or C is odd or below 6.
    """
    rng, least = np.random.default_rng(seed), min(map(len, groups))
    if least < chunks * size or chunks < MIN_CHUNKS or chunks % 2:
        raise ValueError(f'a group has {counted(least, "clip")}: too few for {counted(chunks, "chunk")}, an even number from '
                         f'{MIN_CHUNKS} on, of {counted(size, "clip")}')
    rows = np.stack([rng.permutation(group)[:chunks * size].reshape(2, -1, size) for group in groups], axis=2)
    examples = seed * 2 * rows.size + np.arange(rows.size * 2).reshape(2, -1, 2 * len(groups), size)
    return np.concatenate([rows, rows], axis=2).astype(np.int32), examples.astype(np.uint32)


def bin_products(objective, trained, frozen, clips, noise_bin, chunks, bins):
    """(Products [2, C / 2, 2 S, 2 S] in units of V, d) of probe_chunks in one noise bin: each fold by the other's V, not over d."""
    gradient = chunk_gradient(objective, trained, frozen, clips, noise_bin, bins)
    total, squares = jax.lax.map(lambda fold: gradient_sums(gradient, fold), chunks)
    variance = lambda fold: inverse_variance(*fold, *chunks[0].shape[1:])
    metric = jax.lax.map(variance, (total, squares))
    metric = jax.tree.map(lambda m: jnp.where((m > 0).all(0), m[::-1], 0), metric)
    d = sum(jnp.sum(leaf[0] > 0, dtype=jnp.float32) for leaf in jax.tree.leaves(metric))
    layers = LayerGroups(names=(WHOLE, 'parameters'), index=tuple((1,) for _ in jax.tree.leaves(trained)))
    products = jax.lax.map(lambda fold: gradient_products(gradient, fold[0], fold[1], layers, fold[2]), (chunks, total, metric))
    return Products(cross=products.cross[:, :, 0], own=products.own[:, :, 0]), d


def inverse_variance(total, squares, chunks, groups, size):
    """1 / V for every parameter, 0 where it has no gradient, from gradient_sums."""
    pooled = lambda q, t: size * jnp.maximum(q - jnp.sum(t * t, 0) / chunks, 0) / (groups * (chunks - 1))
    variance = jax.tree.map(pooled, squares, total)
    alive = jax.tree.map(lambda v, q: v > 1e-6 * size * q / (chunks * groups), variance, squares)  # less is float32's rounding
    return jax.tree.map(lambda v, use: jnp.where(use, 1 / jnp.where(use, v, 1), 0), variance, alive)


def probe_products(objective, trained, frozen, clips, chunks, bins, store=None):
    """(Products [2, C / 2, B, 2 S, 2 S], d [B]) of B noise bins in turn: what quantities() takes.

    clips: a Batch, whose rows chunks of probe_chunks name. store: see products_by_bin.
    """
    clips = jax.tree.map(jnp.asarray, clips)
    one_bin = lambda noise_bin: _bin_products(objective, trained, frozen, clips, noise_bin, chunks, bins)
    results = products_by_bin(one_bin, bins, label='probe', store=store)
    products = Products(**{key: np.stack([getattr(one, key) for one, _ in results], axis=2) for key in ('cross', 'own')})
    return products, np.array([d for _, d in results])


_bin_products = jax.jit(bin_products, static_argnums=(0, 6))  # compiled once for the probes of all seeds
