"""Attention by an online softmax over blocks of queries and keys: no more logits at once than those of a block, forward and backward.

The formulas are FlashAttention's (Dao et al. 2022, 2023): the forward pass keeps the logarithm of each softmax's denominator, by which the
backward pass computes the weights of a block again. Sums are float32, or float64 for float64.
"""
import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tqd_jax.models.wan.spread.remat import kept

BLOCK = 512  # queries, and keys, at once
MAX_LOGITS = 2**24  # of an example and head; up to here XLA's whole matrix takes 64 MiB of float32, and less time

Queries = Float[Array, 'batch queries heads width']
Keys = Float[Array, 'batch keys heads width']


def suits(q: Queries, k: Keys) -> bool:
    """Whether the logits are so many that they should not be whole."""
    return q.shape[1] * k.shape[1] > MAX_LOGITS


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def chunked(q: Queries, k: Keys, v: Keys, block: int = BLOCK) -> Queries:
    """softmax(q k^T / sqrt(H)) v in q's dtype."""
    return _forward(q, k, v, block)[0]


def _forward(q, k, v, block):
    """The output, and what the backward pass needs; the denominators' logarithms stay in blocks."""
    rows = functools.partial(_rows, keys=_key_blocks(k, v, block), length=k.shape[1])
    y, log_sums = jax.lax.map(rows, _blocks(q, block))
    y, log_sums = kept(_whole(y, q.shape[1])), kept(log_sums)
    return y, (q, k, v, y, log_sums)


def _rows(q, keys, length):
    """A block of queries [B, N, s, H] -> its output, and the logarithms of its denominators [B, N, s]."""
    wide = _wide(q)

    def step(carry, block):
        top, total, y = carry
        k, v, first = block
        logits = _logits(q, k, first, length)
        new = jnp.maximum(top, jnp.max(logits, axis=-1))
        weights, decay = jnp.exp(logits - new[..., None]), jnp.exp(top - new)
        y = y * decay[..., None] + _product('bnst,bnth->bnsh', weights.astype(v.dtype), v)
        return (new, total * decay + jnp.sum(weights, axis=-1), y), None

    start = jnp.full(q.shape[:3], -jnp.inf, wide), jnp.zeros(q.shape[:3], wide), jnp.zeros(q.shape, wide)
    (top, total, y), _ = jax.lax.scan(step, start, keys)
    return (y / total[..., None]).astype(q.dtype), top + jnp.log(total)


def _backward(block, saved, slope):
    """The gradients of q, k and v, from that of the output."""
    q, k, v, y, log_sums = saved
    keys = _key_blocks(k, v, block)
    zeros = tuple(jnp.zeros(x.shape, _wide(x)) for x in keys[:2])
    rows = (*(_blocks(x, block) for x in (q, y, slope)), log_sums)
    sums, dq = jax.lax.scan(functools.partial(_row_gradients, keys=keys, length=k.shape[1]), zeros, rows)
    return tuple(_whole(x, like.shape[1]).astype(like.dtype) for x, like in zip((dq, *sums), (q, k, v), strict=True))


def _row_gradients(sums, row, keys, length):
    """(sums of the gradients of k and v, block by block), a block of queries -> the sums with its part, and the gradient of its q."""
    q, y, slope, log_sums = row
    wide = _wide(q)
    mean = jnp.sum(y.astype(wide) * slope.astype(wide), axis=-1, keepdims=True)  # of the weights' gradients, under the weights

    def step(dq, block):
        k, v, first = block
        weights = jnp.exp(_logits(q, k, first, length) - log_sums[..., None])
        dv = _product('bnst,bnsh->bnth', weights.astype(v.dtype), slope)
        dlogits = weights * (_product('bnsh,bnth->bnst', slope, v) - mean) * q.shape[-1] ** -0.5
        dlogits = dlogits.astype(q.dtype)
        return dq + _product('bnst,bnth->bnsh', dlogits, k), (_product('bnst,bnsh->bnth', dlogits, q), dv)

    dq, parts = jax.lax.scan(step, jnp.zeros(q.shape, wide), keys)
    return tuple(a + b for a, b in zip(sums, parts, strict=True)), dq


chunked.defvjp(_forward, _backward)


def _logits(q, k, first, length):
    """q k^T / sqrt(H) of a block of keys that begins at key `first`; -inf for padding, which begins at key `length`."""
    logits = _product('bnsh,bnth->bnst', q, k) * q.shape[-1] ** -0.5
    return jnp.where(first + jax.lax.broadcasted_iota(jnp.int32, logits.shape, 3) < length, logits, -jnp.inf)


def _product(terms, a, b):
    return jnp.einsum(terms, a, b, preferred_element_type=_wide(a))


def _wide(x):
    """The dtype of sums over x."""
    return jnp.float32 if x.dtype.itemsize < 4 else x.dtype


def _key_blocks(k, v, block):
    """Blocks of keys and of values, and the number of the first key of each."""
    k, v = _blocks(k, block), _blocks(v, block)
    return k, v, jnp.arange(len(k), dtype=jnp.int32) * k.shape[3]


def _blocks(x, block):
    """[B, S, N, H] -> [blocks, B, N, block, H], zeros behind; one block where S is smaller."""
    size = min(block, x.shape[1])
    x = jnp.pad(x, ((0, 0), (0, -x.shape[1] % size), (0, 0), (0, 0)))
    return x.reshape(len(x), -1, size, *x.shape[2:]).transpose(1, 0, 3, 2, 4)


def _whole(blocks, length):
    """The inverse of _blocks."""
    x = blocks.transpose(1, 0, 3, 2, 4)
    return x.reshape(len(x), -1, *x.shape[3:])[:, :length]
