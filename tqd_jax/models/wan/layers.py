"""The parts of a Wan block: norms, self- and cross-attention, feed-forward, and the block with its time modulation."""
import jax
import jax.numpy as jnp
from flax import nnx

from tqd_jax.models.wan.attention import attend
from tqd_jax.models.wan.rope import rotate

_XAVIER = nnx.initializers.xavier_uniform()


class Linear(nnx.Linear):
    """A dense layer over the last axis with float32 parameters, which computes in the config's dtype or in `dtype`."""

    def __init__(self, config, inputs, outputs, rngs, *, kernel_init=_XAVIER, dtype=None):
        super().__init__(inputs, outputs, kernel_init=kernel_init, dtype=dtype or config.dtype, param_dtype=jnp.float32, rngs=rngs)

    def __call__(self, x):
        # one matrix product: with several leading axes XLA's CPU backend takes twice as long over the weights' gradient
        return super().__call__(x.reshape(-1, x.shape[-1])).reshape(*x.shape[:-1], self.out_features)


def standardise(x, eps):
    """(x - mean) / sqrt(variance + eps) over the last axis, in float32."""
    x = x.astype(jnp.float32)
    x = x - jnp.mean(x, axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + eps)


def modulate(x, shift, scale, eps):
    """Standardised x [B, S, D], scaled by 1 + scale and shifted, both [B, 1, D], in x's dtype."""
    return (standardise(x, eps) * (1 + scale) + shift).astype(x.dtype)


class RMSNorm(nnx.Module):
    """x / sqrt(mean(x^2) + eps) * scale over the last axis, in float32, returned in x's dtype."""

    def __init__(self, dim, eps):
        self.eps = eps
        self.scale = nnx.Param(jnp.ones((dim,), jnp.float32))

    def __call__(self, x):
        y = x.astype(jnp.float32)
        y = y * jax.lax.rsqrt(jnp.mean(jnp.square(y), axis=-1, keepdims=True) + self.eps)
        return (y * _row(self.scale, x.ndim)).astype(x.dtype)


class Affine(nnx.Module):
    """Standardised x times a learned scale plus a learned bias, in float32, returned in x's dtype."""

    def __init__(self, dim, eps):
        self.eps = eps
        self.scale = nnx.Param(jnp.ones((dim,), jnp.float32))
        self.bias = nnx.Param(jnp.zeros((dim,), jnp.float32))

    def __call__(self, x):
        return (standardise(x, self.eps) * _row(self.scale, x.ndim) + _row(self.bias, x.ndim)).astype(x.dtype)


class Attention(nnx.Module):
    """Multi-head attention; queries and keys are RMS-normalised across all heads before they are split."""

    def __init__(self, config, rngs):
        self.config = config
        self.q, self.k, self.v, self.out = (Linear(config, config.dim, config.dim, rngs) for _ in range(4))
        self.norm_q, self.norm_k = RMSNorm(config.dim, config.eps), RMSNorm(config.dim, config.eps)

    def __call__(self, x, context, rotary=None):
        """x [B, S, D] attends to context [B, T, D]; rotary is (cos, sin) of rotate, or None."""
        q, k, v = self._heads(self.norm_q(self.q(x))), self._heads(self.norm_k(self.k(context))), self._heads(self.v(context))
        if rotary is not None:
            q, k = rotate(q, *rotary), rotate(k, *rotary)
        return self.out(attend(q, k, v, self.config.attention).reshape(x.shape))

    def _heads(self, x):
        return x.reshape(*x.shape[:2], self.config.heads, self.config.head_dim)


class Block(nnx.Module):
    """Self-attention, cross-attention to the text and feed-forward; shift, scale and gate of the first and last follow the time."""

    def __init__(self, config, rngs):
        self.config = config
        self.modulation = nnx.Param(jax.random.normal(rngs.params(), (6, config.dim), jnp.float32) * config.dim**-0.5)
        self.attention, self.cross = Attention(config, rngs), Attention(config, rngs)
        self.norm = Affine(config.dim, config.eps)
        self.up = Linear(config, config.dim, config.ffn_dim, rngs)
        self.down = Linear(config, config.ffn_dim, config.dim, rngs)

    def __call__(self, x, time, text, rotary):
        """x [B, S, D] tokens, time float32 [B, 6, D], text [B, T, D] -> [B, S, D]."""
        shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = jnp.split(self.modulation[...][None] + time, 6, axis=1)
        y = modulate(x, shift, scale, self.config.eps)
        x = _gated(x, self.attention(y, y, rotary), gate)
        x = x + self.cross(self.norm(x), text)
        y = modulate(x, ffn_shift, ffn_scale, self.config.eps)
        return _gated(x, self.down(jax.nn.gelu(self.up(y), approximate=True)), ffn_gate)


def _gated(x, y, gate):
    return (x.astype(jnp.float32) + y.astype(jnp.float32) * gate).astype(x.dtype)


def _row(param, ndim):
    return jnp.expand_dims(param[...], tuple(range(ndim - 1)))
