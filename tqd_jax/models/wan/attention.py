"""Scaled dot-product attention: which implementation, by what a program is compiled for and by the sizes."""
import functools

import jax
import jax.numpy as jnp

from tqd_jax.models.wan import chunked, splash
from tqd_jax.models.wan.spread.heads import on_devices, splits
from tqd_jax.models.wan.spread.remat import kept
from tqd_jax.models.wan.spread.rules import several
from tqd_jax.models.wan.target import chip_of, target_of
from tqd_jax.models.wan.tiles import tiles


def attend(q, k, v, kind, target=None, mesh=None, *, same=False):
    """softmax(q k^T / sqrt(H)) v of q [B, S, N, H] and k, v [B, T, N, H] -> [B, S, N, H] in q's dtype.

    kind: an implementation of jax.nn.dot_product_attention, 'xla' or 'cudnn'; 'splash', the kernel for TPUs, which is interpreted on a CPU;
    'chunked', which has no S x T array and runs everywhere; or 'auto', the choice of `choice`. target: what the program is compiled for,
    the mesh's devices by default (target_of). mesh: of the batch. same: whether keys and values are of the queries' tokens, which a context
    splits. Raises ValueError for splash on a GPU.
    """
    target = target or target_of(mesh)
    local = functools.partial(_local, kind=choice(q, k, target) if kind == 'auto' else kind, target=target, chip=chip_of(mesh))
    if several(mesh) and (local.keywords['kind'] == 'splash' or splits(q.shape[1], q.shape[2], mesh)):
        return on_devices(local, q, k, v, mesh, same=same)
    return local(q, k, v)


def _local(q, k, v, kind, target, chip):
    """The implementation `kind`, on one device of a kind `chip`."""
    if kind == 'chunked':
        return chunked.chunked(q, k, v)
    if kind == 'heads_first':
        return kept(_heads_first(q, k, v))
    with jax.numpy_dtype_promotion('standard'):  # inside, bfloat16 logits meet float32
        if kind == 'splash':
            return splash.splash(q, k, v, target, tiles(q.shape[1], k.shape[1], chip))
        return kept(jax.nn.dot_product_attention(q, k, v, implementation=kind))


def choice(q, k, target):
    """The implementation that 'auto' is: a kernel where there is one, else no S x T array where it would be large, else XLA's or ours."""
    if target == 'tpu' and splash.suits(q, k):
        return 'splash'
    if target == 'gpu_sm80' and _cudnn_suits(q):
        return 'cudnn'
    if chunked.suits(q, k):
        return 'chunked'
    return 'heads_first' if target == 'cpu' else 'xla'


def _cudnn_suits(q):
    """cuDNN has fused attention in 16 bits, of heads of whole groups of 8, at most 128 wide before Hopper."""
    return q.dtype in (jnp.bfloat16, jnp.float16) and q.shape[-1] % 8 == 0 and q.shape[-1] <= 128


def _heads_first(q, k, v):
    """Heads beside the batch, division after the second product: on two cores a step of the tiny model takes a fifth less time so."""
    flat = lambda x: x.transpose(0, 2, 1, 3).reshape(-1, x.shape[1], x.shape[3])
    scale = jnp.asarray(q.shape[-1] ** -0.5, q.dtype)
    scores = jnp.einsum('btd,bsd->bts', flat(q * scale), flat(k), preferred_element_type=jnp.float32)
    # whatever is subtracted cancels, so no gradient goes through it
    weights = jnp.exp(scores - jax.lax.stop_gradient(jnp.max(scores, axis=-1, keepdims=True)))
    y = jnp.einsum('bts,bsd->btd', weights.astype(v.dtype), flat(v), preferred_element_type=jnp.float32)
    y = (y / jnp.sum(weights, axis=-1, keepdims=True)).astype(q.dtype)
    return y.reshape(q.shape[0], q.shape[2], q.shape[1], q.shape[3]).transpose(0, 2, 1, 3)
