"""The learned law: from gradients of a pilot model, how often each kind of clip should teach in each bucket of noise.

One bucket of t. Kind k has N_k clips, and g_k is the expected gradient of its loss at the pilot's weights theta; kind 0 is the target: a
few clips that no run trains on, or the kind whose clips are as all should be.

1. Local model. With one curvature J for all kinds, g_k = J (theta - theta_k), where theta_k is what kind k alone would teach. So, wherever
   the pilot stands, theta_k - theta_0 = -J^-1 delta_k with delta_k = g_k - g_0.
2. Draws. Of n draws in this bucket a share q_k goes to kind k, to all its clips alike; sum q = 1. The fit is theta_0 - J^-1 (noise
   + sum_k q_k delta_k). A draw's gradient has the covariance V = V_clip + V_noise, over clips, and over (t, eps) for one clip, alike
   for all kinds. That of the noise is

       V / n  +  sum_k q_k^2 V_clip / N_k      less terms in 1 / (n N_k),

   the first term the same for every q: with equal steps, kinds differ in their bias and in how few clips they repeat, and in nothing else.
3. Risk. The target's excess loss |fit - theta_0|_J^2 / 2 is, but for the constant term, half of

       sum_k q_k^2 tr(J^-1 V_clip) / N_k  +  q' Gamma q,      Gamma_kl = delta_k' J^-1 delta_l.

4. The diagonal Fisher. J is d x d and unknown. Take J = c diag(V): V is the Fisher information of a log-likelihood, and in proportion to it
   for any loss that is one but for its scale. Then tr(J^-1 V) = d / c whatever the correlations in V are, c cancels, and

       risk  ~  q' (diag(rho / N) + G) q,      G_kl = sum_p delta_kp delta_lp / V_p / d,      rho = sum_p V_clip,p / V_p / d,

   which no scaling of the loss or of a single parameter changes. All of V would be d^2 numbers, to invert from far fewer gradients.
5. Optimum. This is UOWQ's problem (arXiv 2601.10779) with sizes N / rho and no target samples: u minimises u' (diag(rho / N) + G) u / 2
   - 1'u over u >= 0, and q = u / sum u. Buckets are problems of their own, solved as one batch: it is assumed that what is learned in one
   does not bind another, as if the network had separate weights for each.
6. The law. Buckets keep the equal shares of all draws that the uniform law gives them. What a clip of kind k counts there, relative to
   uniform training, is w_k(j) = q_k(j) N / N_k with N all clips: tqd_jax.timesteps.learned makes of w densities and rates.

Noise. Means of C chunks of m clips have E delta^_k' V^-1 delta^_l / d = G_kl + (1 + [k = l]) / (C m), with one draw of noise a clip: the
plug-in makes every kind look worse than it is, and all alike. Products of different chunks have no such term, whatever the noise is
(tqd_jax.gradients.alignment). Each chunk is drawn twice, as halves a and b with the same clips and other noise: <g_a, g_b> within chunks
less that between them is V_clip / m, which gives rho. V is the pooled variance of halves between the C / 2 chunks of a fold,
with S (C / 2 - 1) degrees of freedom nu or up to twice as many.
Were it taken of the chunks that are multiplied, a part 2 / (nu - 2) of the noise would come
back, and kinds just like the target would lose most of their share: so chunks are two folds, and each is multiplied in units of the
other's V. What is left, nu / (nu - 2), is a factor of G and rho alike. The unbiased G is not semi-definite where it is all noise: the
nearest matrix that is takes its place. The jackknife over chunks, through the solver, says how sure q is.
"""
import contextlib
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from tqd_jax.gradients.alignment import expected_products, expected_replicates, standard_error
from tqd_jax.gradients.bins import by_bucket
from tqd_jax.gradients.products import WHOLE, Groups, Products, chunk_gradient, gradient_products, gradient_sums
from transfer_jax.debias import project_psd
from transfer_jax.solver.solution import check
from transfer_jax.weights import source_weights

LEAST = 6  # chunks: three in each fold, of which the jackknife leaves out one


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantities:
    """What a pilot says of K kinds in B buckets.

    gram: [B, K, K], unbiased, then made semi-definite. rho: [B], the clips' share of the variance, in [0.001, 1], the mean of all kinds.
    replicates: gram and rho without one chunk, [C, B, K, K] and [C, B]. plug_in: [B, K, K], each fold's G^ with its bias, to compare.
    """
    gram: np.ndarray
    rho: np.ndarray
    replicates: tuple
    plug_in: np.ndarray


def pilot_chunks(kinds, chunks, size, seed):
    """(rows, examples) [2, C / 2, 2 S, m]: two folds of chunks of S kinds, each the rows of its clips, the target's first: halves a of all
    kinds, then halves b.

    m = size clips of a chunk are in no other one; the halves have the same rows and other examples, hence other noise. seed: of which
    clips, and of which noise. Raises ValueError where a kind has fewer than C m clips, or C is odd or below 6.
    """
    rng, least = np.random.default_rng(seed), min(map(len, kinds))
    if least < chunks * size or chunks < LEAST or chunks % 2:
        raise ValueError(f'a kind has {least} clips: too few for {chunks} chunks, an even number from {LEAST} on, of {size} clips')
    rows = np.stack([rng.permutation(kind)[:chunks * size].reshape(2, -1, size) for kind in kinds], axis=2)
    examples = seed * 2 * rows.size + np.arange(rows.size * 2).reshape(2, -1, 2 * len(kinds), size)
    return np.concatenate([rows, rows], axis=2).astype(np.int32), examples.astype(np.uint32)


def pilot_products(objective, params, frames, tokens, bucket, chunks, buckets):
    """(Products [2, C / 2, 2 S, 2 S] in units of V, d) of chunks of pilot_chunks in one bucket: each fold by the other's V, not over d."""
    gradient = chunk_gradient(objective, params, frames, tokens, bucket, buckets)
    total, squares = jax.lax.map(lambda fold: gradient_sums(gradient, fold), chunks)
    variance = lambda fold: inverse_variance(*fold, *chunks[0].shape[1:])
    metric = jax.lax.map(variance, (total, squares))
    metric = jax.tree.map(lambda m: jnp.where((m > 0).all(0), m[::-1], 0), metric)
    d = sum(jnp.sum(leaf[0] > 0, dtype=jnp.float32) for leaf in jax.tree.leaves(metric))
    groups = Groups(names=(WHOLE, 'parameters'), index=tuple((1,) for _ in jax.tree.leaves(params)))
    found = jax.lax.map(lambda fold: gradient_products(gradient, fold[0], fold[1], groups, fold[2]), (chunks, total, metric))
    return Products(cross=found.cross[:, :, 0], own=found.own[:, :, 0]), d


def inverse_variance(total, squares, chunks, kinds, size):
    """1 / V for every parameter, 0 where it has no gradient, from gradient_sums."""
    pooled = lambda q, t: size * jnp.maximum(q - jnp.sum(t * t, 0) / chunks, 0) / (kinds * (chunks - 1))
    variance = jax.tree.map(pooled, squares, total)
    alive = jax.tree.map(lambda v, q: v > 1e-6 * size * q / (chunks * kinds), variance, squares)  # less is float32's rounding
    return jax.tree.map(lambda v, use: jnp.where(use, 1 / jnp.where(use, v, 1), 0), variance, alive)


def quantities(products, d, size, *, among=False):
    """Quantities from Products [2, C / 2, B, 2 S, 2 S] in units of V, of halves of m = size examples, and d [B].

    The target comes first. K = S - 1, or S where it is among the kinds that are taught: then its own delta is 0 without any noise.
    """
    count = products.own.shape[-1] // 2
    halves = np.concatenate([np.eye(count), np.eye(count)], axis=1) / 2
    difference = (np.eye(count) - np.eye(count)[0])[0 if among else 1:] @ halves  # delta_k = g_k - g_0
    scale = np.asarray(d, np.float64)[:, None, None]
    whole, parts, plug_in, clips, clip_parts = zip(*(_of_fold(
        Products(cross=products.cross[fold], own=products.own[fold]), difference, scale, size) for fold in range(2)), strict=True)
    bounded = lambda rho: np.clip(rho, 1e-3, 1.0)
    without = lambda whole, parts: np.concatenate([(parts[0] + whole[1]) / 2, (whole[0] + parts[1]) / 2])
    return Quantities(gram=semidefinite(np.mean(whole, 0)), rho=bounded(np.mean(clips, 0)), plug_in=semidefinite(np.mean(plug_in, 0)),
                      replicates=(semidefinite(without(whole, parts)), bounded(without(clips, clip_parts))))


def semidefinite(gram):
    """The nearest positive semi-definite matrices to gram [..., K, K], float64."""
    with in_double():
        return np.asarray(project_psd(np.asarray(gram, np.float64)))


@contextlib.contextmanager
def in_double():
    """A context where JAX computes in float64, on the host where JAX has a CPU backend: for problems of K x K numbers."""
    try:
        host = jax.local_devices(backend='cpu')[0]
    except RuntimeError:  # JAX_PLATFORMS names other backends only
        host = None
    with jax.enable_x64(True), jax.default_device(host):
        yield


def _of_fold(products, difference, scale, size):
    """(G, G without each chunk, plug-in, rho, rho without each chunk) of the chunks of one fold, over d."""
    cross, own = (np.asarray(x, np.float64) / scale for x in (products.cross, products.own))
    products, chunks = Products(cross=cross, own=own), len(own)
    turned = Products(cross=difference @ cross @ difference.T, own=difference @ own @ difference.T)
    rho = lambda own, apart: size * _halves(own - apart).mean(-1)
    return (expected_products(turned), expected_replicates(turned), turned.cross.sum(0) / chunks**2,
            rho(own.mean(0), expected_products(products)), rho((own.sum(0) - own) / (chunks - 1), expected_replicates(products)))


def _halves(products):
    """<a, b> of every kind's two halves, [..., S] of [..., 2 S, 2 S]."""
    count = products.shape[-1] // 2
    return np.diagonal(products[..., :count, count:], axis1=-2, axis2=-1)


def shares(gram, rho, counts):
    """q [..., B, K] that minimises q' (diag(rho / N) + G) q, q >= 0, sum q = 1; gram [..., B, K, K], rho [..., B], counts N [K]."""
    sizes = np.asarray(counts, np.float64) / np.asarray(rho)[..., None]
    scale = sizes.mean()  # u and G scale with the sizes; the solver is most exact near 1
    with in_double():
        solution = check(source_weights(np.zeros(()), sizes / scale, np.asarray(gram, np.float64) * scale))
        u = np.asarray(solution.effective_sizes)
    return u / u.sum(-1, keepdims=True)


def shares_error(found, counts):
    """The jackknife's standard error of q [B, K] over chunks, the variances of both folds added."""
    return np.sqrt(sum(standard_error(fold)**2 for fold in np.split(shares(*found.replicates, counts), 2)))


def measured(objective, params, frames, tokens, chunks, buckets, kept=None):
    """(Products [2, C / 2, B, 2 S, 2 S], d [B]) of all buckets in turn: what quantities() takes. kept: see by_bucket."""
    frames, tokens = jnp.asarray(frames), jnp.asarray(tokens)
    found = by_bucket(lambda bucket: _products(objective, params, frames, tokens, bucket, chunks, buckets), buckets,
                      label='pilot', kept=kept)
    products = Products(**{key: np.stack([getattr(one, key) for one, _ in found], axis=2) for key in ('cross', 'own')})
    return products, np.array([d for _, d in found])


_products = jax.jit(pilot_products, static_argnums=(0, 6))  # compiled once for the pilots of all seeds
