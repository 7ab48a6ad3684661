"""Scaled dot-product attention: which implementation, by the platform that a program is compiled for."""
import jax
import jax.numpy as jnp

from tqd_jax.models.wan.splash import splash, suits


def attend(q, k, v, kind, platform=None, mesh=None):
    """softmax(q k^T / sqrt(H)) v of q [B, S, N, H] and k, v [B, T, N, H] -> [B, S, N, H] in q's dtype.

    kind: an implementation of jax.nn.dot_product_attention, 'xla' or 'cudnn'; 'splash', the kernel for TPUs, which is interpreted on a CPU;
    or 'auto': ours on a CPU, cuDNN for bfloat16 on a GPU, splash on a TPU where the sizes suit it, XLA's elsewhere. platform: what the
    program is compiled for, JAX's default backend by default. mesh: of the batch; splash alone needs it. Raises ValueError for splash on
    a GPU.
    """
    platform = platform or jax.default_backend()
    if kind == 'auto' and platform == 'cpu':
        return _heads_first(q, k, v)
    kind = _choice(q, k, platform) if kind == 'auto' else kind
    with jax.numpy_dtype_promotion('standard'):  # inside, bfloat16 logits meet float32
        if kind == 'splash':
            return splash(q, k, v, platform, mesh)
        return jax.nn.dot_product_attention(q, k, v, implementation=kind)


def _choice(q, k, platform):
    if platform == 'tpu':
        return 'splash' if suits(q, k) else 'xla'
    return 'cudnn' if q.dtype == jnp.bfloat16 else 'xla'


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
