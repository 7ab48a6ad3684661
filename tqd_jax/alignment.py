"""How alike the gradients of two kinds of clips are, by noise and layer group, without the noise that both estimates have.

Clips are cut into K chunks of M examples; g_k^s is the gradient of the mean loss of kind s on chunk k. Chunks are independent, so with
T^s = sum_k g_k^s

    <E g^s, E g^r>  is estimated without bias by  U_sr = (<T^s, T^r> - sum_k <g_k^s, g_k^r>) / (K (K - 1)),

products of different chunks only. The plug-in <T^s, T^r> / K^2 is not: it adds Cov(g^s, g^r) / K, the noise that lowers the cosine of
unrelated draws and, where both kinds are copies of the same clips with the same noise, raises it. Two cosines are made of these:

    expected   U_sr / sqrt(U_ss U_rr): of the gradients that infinitely many clips have. The ratio may leave [-1, 1], being unbiased in its
               parts, and is NaN where a squared norm is not clearly above 0, where no direction is known.
    matched    the same with sum_k <g_k^s, g_k^r> / K: of two training steps on M examples, the same clips and noise in both.

Errors are those of the delete-one jackknife over chunks (Efron and Stein 1981), bands are Student's with K - 1 degrees of freedom. No more
than 2 S + 1 gradients are held at once: a first pass sums, a second one multiplies.
"""
import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from tqd_jax.step import losses
from transfer_jax.runtime.keys import example_keys

PARTS = {'patch_in': 'input', 'embed': 'text', 'text_in': 'text', 'text_out': 'text', 'time_in': 'time', 'time_out': 'time',
         'time_rows': 'time', 'modulation': 'output', 'patch_out': 'output'}  # Wan's leaves by layer group
WHOLE = 'all'  # the group of all parameters
CLEAR = 2.0  # standard errors that a squared norm must be above 0 for its direction to be known


@dataclasses.dataclass(frozen=True, kw_only=True)
class Groups:
    """names [L]: layer groups, the first is all parameters. index: for every leaf of the tree its group, or that of each of its rows."""
    names: tuple
    index: tuple


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Products:
    """Inner products of the gradients of S kinds in K chunks, by group: cross [K, L, S, S] of <g_k^s, T^r>, own of <g_k^s, g_k^r>.

    More axes may stand between K and L.
    """
    cross: jax.Array
    own: jax.Array


def layer_groups(params):
    """The Groups of a parameter tree: by its first names, Wan's parts under fewer names, and each block of a stack by itself."""
    leaves = [(path[0].key, leaf) for path, leaf in jax.tree.leaves_with_path(params)]
    of_leaf = [[f'block {i + 1}' for i in range(leaf.shape[0])] if name == 'blocks' else [PARTS.get(name, name)] for name, leaf in leaves]
    names = (WHOLE, *dict.fromkeys(name for names in of_leaf for name in names))
    return Groups(names=names, index=tuple(tuple(names.index(name) for name in rows) for rows in of_leaf))


def inner_products(first, second, groups, metric=None):
    """<a_s, b_r> [L, S, R] of trees with leading axes S and R, by group; metric: a tree of positive factors, 1 if None."""
    found = jnp.zeros((len(groups.names), *(jax.tree.leaves(tree)[0].shape[0] for tree in (first, second))), jnp.float32)
    scales = [None] * len(groups.index) if metric is None else jax.tree.leaves(metric)
    for a, b, scale, rows in zip(jax.tree.leaves(first), jax.tree.leaves(second), scales, groups.index, strict=True):
        a = a if scale is None else a * scale[None]
        a, b = (x.reshape(x.shape[0], len(rows), -1) for x in (a, b))
        part = jnp.einsum('sni,rni->nsr', a, b, precision='highest')
        found = found.at[jnp.asarray(rows)].add(part)
    return found.at[0].set(jnp.sum(found[1:], 0))


def gradient_sums(gradient, chunks):
    """(T, Q) of chunks [K, S, ...]: T^s = sum_k g_k^s with a leading axis S, and Q = sum_s sum_k (g_k^s)^2 without one."""
    like = jax.eval_shape(lambda chunk: jax.lax.map(gradient, chunk), jax.tree.map(lambda x: x[0], chunks))
    zeros = lambda shape: jax.tree.map(lambda leaf: jnp.zeros(shape(leaf), leaf.dtype), like)

    def add(carry, chunk):
        found = jax.lax.map(gradient, chunk)
        total, squares = carry
        return (jax.tree.map(jnp.add, total, found), jax.tree.map(lambda q, g: q + jnp.sum(g * g, 0), squares, found)), None

    return jax.lax.scan(add, (zeros(lambda leaf: leaf.shape), zeros(lambda leaf: leaf.shape[1:])), chunks)[0]


def gradient_products(gradient, chunks, total, groups, metric=None):
    """The Products of chunks [K, S, ...], whose gradients sum to `total` [S, ...]; gradient(one kind of one chunk) -> a tree."""
    def multiply(_, chunk):
        found = jax.lax.map(gradient, chunk)
        return None, (inner_products(found, total, groups, metric), inner_products(found, found, groups, metric))

    cross, own = jax.lax.scan(multiply, None, chunks)[1]
    return Products(cross=cross, own=own)


def noise_levels(seed, examples, bucket, buckets):
    """t [..., M] in bucket `bucket` of `buckets` equal ones of [0, 1]: one in every M-th of it, jittered by the example [..., M]."""
    keys = example_keys(seed, 'alignment t', bucket, examples.reshape(-1))
    jitter = jax.vmap(jax.random.uniform)(keys).reshape(examples.shape)
    place = jax.lax.broadcasted_iota(jnp.float32, examples.shape, examples.ndim - 1)
    level = (place + jitter) / examples.shape[-1]
    return (jnp.asarray(bucket, jnp.float32) + level) / buckets


def chunk_gradient(problem, params, frames, tokens, bucket, buckets):
    """The function (rows [M], examples [M]) -> gradient of the mean loss of frames[rows] at noises in one bucket of t."""
    def gradient(chunk):
        rows, examples = chunk
        batch = {'frames': frames[rows], 'tokens': tokens[rows], 'example': examples}
        t = noise_levels(problem.seed, examples, bucket, buckets)
        return jax.grad(lambda params: jnp.mean(losses(problem, params, batch, t, bucket, 'alignment')))(params)

    return gradient


def copy_chunks(clips, kinds, chunks, draws):
    """(rows, examples) int32 and uint32 [K, S, M] for `kinds` copies of `clips` clips, copy s of clip i being row s clips + i.

    Every chunk has its own clips, each drawn `draws` times; an example's number, and so its noise, is the same in all kinds. What does not
    fill a chunk is left out. Raises ValueError with fewer than 3 chunks, or fewer clips than chunks.
    """
    if chunks < 3 or clips < chunks:
        raise ValueError(f'{clips} clips cannot be cut into {chunks} chunks: 3 or more, with a clip each')
    size = clips // chunks
    mine = np.arange(chunks * size).reshape(chunks, 1, size, 1)
    shape = chunks, kinds, size, draws
    rows = np.broadcast_to(mine + clips * np.arange(kinds).reshape(1, kinds, 1, 1), shape)
    examples = np.broadcast_to(mine * draws + np.arange(draws), shape)
    flat = chunks, kinds, size * draws
    return rows.reshape(flat).astype(np.int32), examples.reshape(flat).astype(np.uint32)


def copy_products(problem, params, frames, tokens, bucket, chunks, groups, buckets):
    """The Products of S copies of N clips in one noise bucket: frames uint8 [S N, F, H, W, 3], tokens [S N, L], chunks of copy_chunks."""
    gradient = chunk_gradient(problem, params, frames, tokens, bucket, buckets)
    total, _ = gradient_sums(gradient, chunks)
    return gradient_products(gradient, chunks, total, groups)


def expected_products(products):
    """U [..., L, S, S]: without bias the inner products of the expected gradients."""
    cross, own = (np.asarray(x, np.float64) for x in (products.cross, products.own))
    return (cross.sum(0) - own.sum(0)) / (len(own) * (len(own) - 1))


def expected_replicates(products):
    """U without chunk k, for every k: [K, ..., L, S, S]. <T - g_k, T - g_k> is made of what is there."""
    cross, own = (np.asarray(x, np.float64) for x in (products.cross, products.own))
    whole = cross.sum(0) - cross - np.swapaxes(cross, -1, -2) + own
    return (whole - (own.sum(0) - own)) / ((len(own) - 1) * (len(own) - 2))


def matched_products(products):
    """(mean, replicates without chunk k [K, ...]) of <g_k^s, g_k^r>: [..., L, S, S]."""
    own = np.asarray(products.own, np.float64)
    return own.mean(0), (own.sum(0) - own) / (len(own) - 1)


def cosines(inner):
    """Cosines of kinds 1 ... with kind 0, [..., S - 1], from inner products [..., S, S]; NaN where a squared norm is not above 0."""
    norms = np.diagonal(inner, axis1=-2, axis2=-1)
    scale = np.where(norms > 0, norms, np.nan)
    return inner[..., 0, 1:] / np.sqrt(scale[..., :1] * scale[..., 1:])


def standard_error(replicates):
    """The jackknife's standard error over the leading axis K."""
    count = len(replicates)
    return np.sqrt((count - 1) / count * np.sum((replicates - replicates.mean(0)) ** 2, 0))


def alignment(products, confidence=0.95):
    """Both cosines of kinds 1, 2, ... with kind 0, and how they differ: {'expected': curves, 'matched': curves, 'norms': [..., L, S]}.

    curves: 'cosine', 'low', 'high' [..., L, S - 1], and 'difference', the cosines of kinds 2, ... minus that of kind 1 [..., L, S - 2] with
    low, high and 'sign': -1, 0 or 1, the side of 0 on which the band lies. The band of a difference is made of the same chunks, so it is
    sharper than two bands side by side. 'norms': U_ss over its standard error.
    """
    whole, parts = expected_products(products), expected_replicates(products)
    squares, errors = (np.diagonal(x, axis1=-2, axis2=-1) for x in (whole, parts))
    clear = squares / np.maximum(standard_error(errors), 1e-300)
    known = (clear[..., :1] > CLEAR) & (clear[..., 1:] > CLEAR)
    wide = stats.t.ppf((1 + confidence) / 2, len(parts) - 1)
    expected = np.where(known, cosines(whole), np.nan), cosines(parts)
    matched = tuple(cosines(x) for x in matched_products(products))
    return {'expected': _curves(*expected, wide), 'matched': _curves(*matched, wide), 'norms': clear}


def _curves(estimate, replicates, wide):
    difference = _band(*(x[..., 1:] - x[..., :1] for x in (estimate, replicates)), wide)
    sign = np.where(difference['low'] > 0, 1, np.where(difference['high'] < 0, -1, 0))
    return {**_band(estimate, replicates, wide), 'difference': {**difference, 'sign': sign}}


def _band(estimate, replicates, wide):
    error = wide * standard_error(replicates)
    return {'cosine': estimate, 'low': estimate - error, 'high': estimate + error}


def crossings(t, difference):
    """Where a curve [B] at t [B] changes its sign, by linear interpolation between neighbours that are known: a list of t."""
    known = np.isfinite(difference)
    t, y = np.asarray(t, float)[known], np.asarray(difference, float)[known]
    change = np.flatnonzero(y[:-1] * y[1:] < 0)
    return [float(t[i] + (t[i + 1] - t[i]) * y[i] / (y[i] - y[i + 1])) for i in change]


def verdict(sign):
    """What clear signs [B], in order of t, say of "kind 2 aligns better at noisy t, kind 1 at clean t": a word, 'holds' or what else."""
    seen = [int(s) for s in sign if s]
    if not seen:
        return 'undecided'
    turns = sum(a != b for a, b in itertools.pairwise(seen))
    if turns == 0:
        return 'above everywhere' if seen[0] > 0 else 'below everywhere'
    return ('holds' if seen[0] < 0 else 'reversed') if turns == 1 else 'mixed'
