"""Inner products of gradients of groups of clips, chunk by chunk, by noise bin and layer group.

K chunks of M examples of each of S groups; g_k^s is the gradient of the mean loss of group s on chunk k. A first pass sums, T^s = sum_k
g_k^s, a second one multiplies: <g_k^s, T^r> and <g_k^s, g_k^r> are all that unbiased products and their jackknife need
(tqd_jax.gradients.alignment). No more than 2 S + 1 gradients are held at once.
"""
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from tqd_jax.diffusion.objective import losses
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.keys import example_keys

PARTS = {'patch_in': 'input', 'embed': 'text', 'text_in': 'text', 'text_out': 'text', 'time_in': 'time', 'time_out': 'time',
         'time_rows': 'time', 'modulation': 'output', 'patch_out': 'output'}  # Wan's leaves by layer group
WHOLE = 'all'  # the layer group of all parameters


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerGroups:
    """names [L]: the first is all parameters. index: for every leaf of the tree its layer group, or that of each of its rows."""
    names: tuple
    index: tuple


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Products:
    """Inner products of the gradients of S groups in K chunks, by layer group: cross [K, L, S, S] of <g_k^s, T^r>, own of <g_k^s, g_k^r>.

    More axes may stand between K and L.
    """
    cross: jax.Array
    own: jax.Array


def layer_groups(params):
    """The LayerGroups of a parameter tree: by its first names, Wan's parts under fewer names, and each block of a stack by itself."""
    leaves = [(path[0].key, leaf) for path, leaf in jax.tree.leaves_with_path(params)]
    of_leaf = [[f'block {i + 1}' for i in range(leaf.shape[0])] if name == 'blocks' else [PARTS.get(name, name)] for name, leaf in leaves]
    names = (WHOLE, *dict.fromkeys(name for names in of_leaf for name in names))
    return LayerGroups(names=names, index=tuple(tuple(names.index(name) for name in rows) for rows in of_leaf))


def inner_products(first, second, layers, metric=None):
    """<a_s, b_r> [L, S, R] of trees with leading axes S and R, by LayerGroups; metric: a tree of positive factors, 1 if None."""
    products = jnp.zeros((len(layers.names), *(jax.tree.leaves(tree)[0].shape[0] for tree in (first, second))), jnp.float32)
    scales = [None] * len(layers.index) if metric is None else jax.tree.leaves(metric)
    for a, b, scale, rows in zip(jax.tree.leaves(first), jax.tree.leaves(second), scales, layers.index, strict=True):
        a = a if scale is None else a * scale[None]
        a, b = (x.reshape(x.shape[0], len(rows), -1) for x in (a, b))
        part = jnp.einsum('sni,rni->nsr', a, b, precision='highest')
        products = products.at[jnp.asarray(rows)].add(part)
    return products.at[0].set(jnp.sum(products[1:], 0))


def gradient_sums(gradient, chunks):
    """(T, Q) of chunks [K, S, ...]: T^s = sum_k g_k^s with a leading axis S, and Q = sum_s sum_k (g_k^s)^2 without one."""
    like = jax.eval_shape(lambda chunk: jax.lax.map(gradient, chunk), jax.tree.map(lambda x: x[0], chunks))
    zeros = lambda shape: jax.tree.map(lambda leaf: jnp.zeros(shape(leaf), leaf.dtype), like)

    def add(carry, chunk):
        gradients = jax.lax.map(gradient, chunk)
        total, squares = carry
        return (jax.tree.map(jnp.add, total, gradients), jax.tree.map(lambda q, g: q + jnp.sum(g * g, 0), squares, gradients)), None

    return jax.lax.scan(add, (zeros(lambda leaf: leaf.shape), zeros(lambda leaf: leaf.shape[1:])), chunks)[0]


def gradient_products(gradient, chunks, total, layers, metric=None):
    """The Products of chunks [K, S, ...], whose gradients sum to `total` [S, ...]; gradient(one group of one chunk) -> a tree."""
    def multiply(_, chunk):
        gradients = jax.lax.map(gradient, chunk)
        return None, (inner_products(gradients, total, layers, metric), inner_products(gradients, gradients, layers, metric))

    cross, own = jax.lax.scan(multiply, None, chunks)[1]
    return Products(cross=cross, own=own)


def timesteps_in_bin(seed, examples, noise_bin, bins):
    """t [..., M] in bin `noise_bin` of `bins` equal ones of [0, 1]: one in every M-th of it, jittered by the example [..., M]."""
    keys = example_keys(seed, 'alignment t', noise_bin, examples.reshape(-1))
    jitter = jax.vmap(jax.random.uniform)(keys).reshape(examples.shape)
    place = jax.lax.broadcasted_iota(jnp.float32, examples.shape, examples.ndim - 1)
    return (jnp.asarray(noise_bin, jnp.float32) + (place + jitter) / examples.shape[-1]) / bins


def chunk_gradient(objective, trained, frozen, clips, noise_bin, bins):
    """The function (rows [M], examples [M]) -> gradient in `trained` of the mean loss of these rows of a Batch, t in one noise bin."""
    def gradient(chunk):
        rows, examples = chunk
        batch = dataclasses.replace(jax.tree.map(lambda x: x[rows], clips), example=examples)
        t = timesteps_in_bin(objective.seed, examples, noise_bin, bins)
        return jax.grad(lambda trained: jnp.mean(losses(objective, trained, frozen, batch, t, noise_bin, 'alignment')))(trained)

    return gradient


def copy_chunks(clips, groups, chunks, draws):
    """(rows, examples) int32 and uint32 [K, S, M] for `groups` copies of `clips` clips, copy s of clip i being row s clips + i.

    Every chunk has its own clips, each drawn `draws` times; an example's number, and so its noise, is the same in all groups. What does
    not fill a chunk is left out. Raises ValueError with fewer than 3 chunks, or fewer clips than chunks.
    """
    if chunks < 3 or clips < chunks:
        raise ValueError(f'{counted(clips, "clip")} cannot be cut into {counted(chunks, "chunk")}: 3 or more, with a clip each')
    size = clips // chunks
    mine = np.arange(chunks * size).reshape(chunks, 1, size, 1)
    shape = chunks, groups, size, draws
    rows = np.broadcast_to(mine + clips * np.arange(groups).reshape(1, groups, 1, 1), shape)
    examples = np.broadcast_to(mine * draws + np.arange(draws), shape)
    flat = chunks, groups, size * draws
    return rows.reshape(flat).astype(np.int32), examples.reshape(flat).astype(np.uint32)


def copy_products(objective, trained, frozen, clips, noise_bin, chunks, layers, bins):
    """The Products of S copies of N clips, a Batch of S N rows, in one noise bin; chunks: of copy_chunks, layers: LayerGroups."""
    gradient = chunk_gradient(objective, trained, frozen, clips, noise_bin, bins)
    total, _ = gradient_sums(gradient, chunks)
    return gradient_products(gradient, chunks, total, layers)
