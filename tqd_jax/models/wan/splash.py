"""JAX's splash attention, a Pallas kernel for TPUs: attention with no mask whose logits never leave the chip's fast memory.

It takes lengths that are multiples of its blocks: queries, keys and values are padded with zeros, and no query attends to padding.
"""
import functools

import jax
import jax.numpy as jnp
from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel as kernels
from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_mask as masks
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float

from transfer_jax.runtime.parallel.mesh import batch_sharding, row_parts

LANES = 128  # of a TPU's registers: the least block
BLOCKS = (1024, 512, 256, LANES)
COMPUTE = 512  # keys of a block that are held against its queries at once
MIN_QUERIES = 1024  # below, XLA's logits are small enough

Queries = Float[Array, 'batch queries heads width']
Keys = Float[Array, 'batch keys heads width']


def suits(q: Queries, k: Keys) -> bool:
    """Whether splash attention is the better choice on a TPU: whole registers a head, and many logits."""
    return q.shape[-1] % LANES == 0 and q.shape[1] >= MIN_QUERIES and k.shape[1] >= LANES


def splash(q: Queries, k: Keys, v: Keys, target: str, mesh=None) -> Queries:
    """softmax(q k^T / sqrt(H)) v in q's dtype, on every device of the mesh for its part of the batch.

    target: 'tpu', or 'cpu', where the kernel is interpreted: slow, for tests. A batch that does not divide over the mesh is computed
    whole on every device. Raises ValueError on another target.
    """
    if target not in ('tpu', 'cpu'):
        raise ValueError(f'splash attention is for a TPU (or a CPU, interpreted), got {target!r}')
    local = functools.partial(_local, interpret=target == 'cpu')
    if mesh is None or mesh.size == 1:
        return local(q, k, v)
    spec = batch_sharding(mesh).spec if len(q) % row_parts(mesh) == 0 else PartitionSpec()
    return jax.shard_map(local, mesh=mesh, in_specs=(spec,) * 3, out_specs=spec, check_vma=False)(q, k, v)


def _local(q, k, v, *, interpret):
    queries, keys = q.shape[1], k.shape[1]
    q, k, v = (_padded(x.transpose(0, 2, 1, 3)) for x in (q * jnp.asarray(q.shape[-1] ** -0.5, q.dtype), k, v))
    kernel = _kernel(q.shape[1], q.shape[2], k.shape[2], interpret)
    segments = _segments(q.shape[2], k.shape[2], keys)
    y = jax.vmap(lambda q, k, v: kernel(q, k, v, segment_ids=segments))(q, k, v)
    return y[:, :, :queries].transpose(0, 2, 1, 3)


def _kernel(heads, queries, keys, interpret):
    q, kv = block(queries), block(keys)
    compute = min(kv, COMPUTE)
    sizes = kernels.BlockSizes(block_q=q, block_kv=kv, block_kv_compute=compute, block_q_dkv=q, block_kv_dkv=kv,
                               block_kv_dkv_compute=compute, block_q_dq=q, block_kv_dq=kv)
    mask = masks.MultiHeadMask([masks.FullMask((queries, keys))] * heads)
    return kernels.make_splash_mha(mask, block_sizes=sizes, head_shards=1, q_seq_shards=1, interpret=interpret)


def _segments(queries, padded, keys):
    """None where there is no padding among the keys; else the ids by which every query attends to the first `keys` of them alone."""
    if padded == keys:
        return None
    return kernels.SegmentIds(q=jnp.ones(queries, jnp.int32), kv=(jnp.arange(padded) < keys).astype(jnp.int32))


def _padded(x):
    """x [B, N, S, H] with zeros behind, up to whole blocks."""
    return jnp.pad(x, ((0, 0), (0, 0), (0, -x.shape[2] % block(x.shape[2])), (0, 0)))


def block(length: int) -> int:
    """The largest block that pads a length by at most a sixteenth; the least one where none does."""
    return next((size for size in BLOCKS if -length % size <= length // 16), LANES)
