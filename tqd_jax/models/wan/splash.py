"""JAX's splash attention, a Pallas kernel for TPUs: attention with no mask whose logits never leave the chip's fast memory.

It takes lengths that are multiples of its blocks: queries, keys and values are padded with zeros, and no query attends to padding.
"""
import jax
import jax.numpy as jnp
from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel as kernels
from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_mask as masks
from jaxtyping import Array, Float

from tqd_jax.models.wan.spread.remat import ATTENTION
from tqd_jax.models.wan.tiles import LANES, Tiles, tiles

MIN_QUERIES = 1024  # below, XLA's logits are small enough

Queries = Float[Array, 'batch queries heads width']
Keys = Float[Array, 'batch keys heads width']


def suits(q: Queries, k: Keys) -> bool:
    """Whether splash attention is the better choice on a TPU: whole registers a head, and many logits."""
    return q.shape[-1] % LANES == 0 and q.shape[1] >= MIN_QUERIES and k.shape[1] >= LANES


def splash(q: Queries, k: Keys, v: Keys, target: str, blocks: Tiles | None = None) -> Queries:
    """softmax(q k^T / sqrt(H)) v in q's dtype, on one device, or on each within jax.shard_map.

    target: 'tpu', or 'cpu', where the kernel is interpreted: slow, for tests. blocks: of the kernel, tiles(S, T) by default. Raises
    ValueError on another target.
    """
    if target not in ('tpu', 'cpu'):
        raise ValueError(f'splash attention is for a TPU (or a CPU, interpreted), got {target!r}')
    queries, keys = q.shape[1], k.shape[1]
    blocks = blocks or tiles(queries, keys)
    q = _padded(q * jnp.asarray(q.shape[-1] ** -0.5, q.dtype), blocks.queries)
    k, v = _padded(k, blocks.keys), _padded(v, blocks.keys)
    kernel = _kernel(q.shape[1], q.shape[2], k.shape[2], blocks, target == 'cpu')
    segments = _segments(q.shape[2], k.shape[2], keys)
    y = jax.vmap(lambda q, k, v: kernel(q, k, v, segment_ids=segments))(q, k, v)
    return y[:, :, :queries].transpose(0, 2, 1, 3)


def _kernel(heads, queries, keys, blocks, interpret):
    (q, kv, compute), (q_dkv, kv_dkv, compute_dkv), (q_dq, kv_dq) = blocks.forward, blocks.dkv, blocks.dq
    sizes = kernels.BlockSizes(block_q=q, block_kv=kv, block_kv_compute=compute, block_q_dkv=q_dkv, block_kv_dkv=kv_dkv,
                               block_kv_dkv_compute=compute_dkv, block_q_dq=q_dq, block_kv_dq=kv_dq)
    mask = masks.MultiHeadMask([masks.FullMask((queries, keys))] * heads)
    return kernels.make_splash_mha(mask, block_sizes=sizes, head_shards=1, q_seq_shards=1, interpret=interpret,
                                   residual_checkpoint_name=ATTENTION)


def _segments(queries, padded, keys):
    """None where there is no padding among the keys; else the ids by which every query attends to the first `keys` of them alone."""
    if padded == keys:
        return None
    return kernels.SegmentIds(q=jnp.ones(queries, jnp.int32), kv=(jnp.arange(padded) < keys).astype(jnp.int32))


def _padded(x, size):
    """x [B, S, N, H] as [B, N, S, H], with zeros behind, up to whole blocks of a size."""
    return jnp.pad(x.transpose(0, 2, 1, 3), ((0, 0), (0, 0), (0, -x.shape[1] % size), (0, 0)))
