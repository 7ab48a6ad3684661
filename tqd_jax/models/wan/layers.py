"""The parts of a Wan block: norms, self- and cross-attention, feed-forward, and the block with its time modulation."""
import jax
import jax.numpy as jnp
from flax import nnx

from tqd_jax.models.wan.attention import attend
from tqd_jax.models.wan.frozen import Scaled
from tqd_jax.models.wan.lora import drop, product
from tqd_jax.models.wan.rope import rotate
from tqd_jax.models.wan.spread.dense import Split, add_bias, dense, everywhere
from tqd_jax.models.wan.spread.rules import layer_sharding, several

_XAVIER = nnx.initializers.xavier_uniform()


class Linear(nnx.Linear):
    """A dense layer over the last axis, which computes in the config's dtype or in `dtype`, and adds LoRA where `name` is a target.

    Its parameters are float32; a frozen kernel may come in another dtype or as frozen.Scaled. On several devices each has a part of the
    kernel, by its name (spread.rules).
    """

    def __init__(self, config, inputs, outputs, rngs, name, *, kernel_init=_XAVIER, dtype=None):
        super().__init__(inputs, outputs, kernel_init=kernel_init, dtype=dtype or config.dtype, param_dtype=jnp.float32, rngs=rngs)
        self.config, self.name = config, name
        self.has_lora = config.lora is not None and name in config.lora.modules
        if self.has_lora:
            uniform = jax.random.uniform(rngs.lora(), (inputs, config.lora.rank), jnp.float32, -1, 1)
            self.lora_a = nnx.Param(uniform * inputs**-0.5)
            self.lora_b = nnx.Param(jnp.zeros((config.lora.rank, outputs), jnp.float32))

    def __call__(self, x, dropout=None):
        """x [B, ..., inputs] -> [B, ..., outputs]; dropout: keys [B] of the layer of depth, or None for no dropout."""
        x = x.astype(self.dtype)
        y = self._spread(x) if several(self.config.mesh) else self._alone(x)
        return y + self._lora(x, dropout) if self.has_lora else y

    def _alone(self, x):
        kernel, bias = self.kernel.get_value().astype(self.dtype), self.bias[...].astype(self.dtype)
        affine = lambda x: x @ kernel + _row(bias, x.ndim)
        return _flat(affine, x) if self.config.target == 'cpu' else affine(x)

    def _spread(self, x):
        kernel = self.kernel.get_value()
        if isinstance(kernel, Scaled):
            whole = Scaled(everywhere(kernel.values, self.config.mesh), everywhere(kernel.scale, self.config.mesh))
            return x @ whole.astype(self.dtype) + _row(self.bias[...].astype(self.dtype), x.ndim)
        split = self._split('kernel')
        return add_bias(dense(x, kernel, split), self.bias[...], split)

    def _split(self, leaf):
        config, shape = self.config, getattr(self, leaf).get_value().shape
        return Split(part=layer_sharding(self.name, leaf, shape, config.layers, config.mesh), dtype=self.dtype,
                     reduce=config.reduce if self.dtype == 'bfloat16' else 'float32',
                     flat=config.target == 'cpu' and config.mesh.shape['context'] == 1)

    def _lora(self, x, dropout):
        lora = self.config.lora
        x = x if dropout is None else drop(x, dropout, self.name, lora.dropout)
        if not several(self.config.mesh):
            return product(x, self.lora_a[...], self.lora_b[...], lora.scale)
        x = dense(x, self.lora_a[...], self._split('lora_a')) * jnp.asarray(lora.scale, x.dtype)
        return dense(x, self.lora_b[...], self._split('lora_b'))


def _flat(function, x):
    """function of x with one leading axis: with several XLA's CPU backend takes twice as long over the weights' gradient."""
    y = function(x.reshape(-1, x.shape[-1]))
    return y.reshape(*x.shape[:-1], y.shape[-1])


def standardise(x, eps):
    """(x - mean) / sqrt(variance + eps) over the last axis, in float32."""
    x = x.astype(jnp.float32)
    x = x - jnp.mean(x, axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + eps)


def modulate(x, shift, scale, eps):
    """Standardised x [B, S, D], scaled by 1 + scale and shifted, both [B, 1, D] or [B, S, D], in x's dtype."""
    return (standardise(x, eps) * (1 + scale) + shift).astype(x.dtype)


class RMSNorm(nnx.Module):
    """x / sqrt(mean(x^2) + eps) * scale over the last axis, in float32, returned in x's dtype."""

    def __init__(self, dim, eps):
        self.eps = eps
        self.scale = nnx.Param(jnp.ones((dim,), jnp.float32))

    def __call__(self, x):
        y = x.astype(jnp.float32)
        y = y * jax.lax.rsqrt(jnp.mean(jnp.square(y), axis=-1, keepdims=True) + self.eps)
        return (y * _row(self.scale[...], x.ndim)).astype(x.dtype)


class Affine(nnx.Module):
    """Standardised x times a learned scale plus a learned bias, in float32, returned in x's dtype."""

    def __init__(self, dim, eps):
        self.eps = eps
        self.scale = nnx.Param(jnp.ones((dim,), jnp.float32))
        self.bias = nnx.Param(jnp.zeros((dim,), jnp.float32))

    def __call__(self, x):
        return (standardise(x, self.eps) * _row(self.scale[...], x.ndim) + _row(self.bias[...], x.ndim)).astype(x.dtype)


class Attention(nnx.Module):
    """Multi-head attention; queries and keys are RMS-normalised across all heads before they are split."""

    def __init__(self, config, rngs, name):
        self.config = config
        self.q, self.k, self.v, self.out = (Linear(config, config.dim, config.dim, rngs, f'{name}/{part}')
                                            for part in ('q', 'k', 'v', 'out'))
        self.norm_q, self.norm_k = RMSNorm(config.dim, config.eps), RMSNorm(config.dim, config.eps)

    def __call__(self, x, context, rotary=None, dropout=None):
        """x [B, S, D] attends to context [B, T, D]; rotary is (cos, sin) of rotate, or None; dropout is Linear's."""
        q, k, v = self.q(x, dropout), self.k(context, dropout), self.v(context, dropout)
        q, k, v = self._heads(self.norm_q(q)), self._heads(self.norm_k(k)), self._heads(v)
        if rotary is not None:
            q, k = rotate(q, *rotary), rotate(k, *rotary)
        y = attend(q, k, v, self.config.attention, self.config.target, self.config.mesh, same=x is context)
        return self.out(y.reshape(x.shape), dropout)

    def _heads(self, x):
        return x.reshape(*x.shape[:2], self.config.heads, self.config.head_dim)


class Block(nnx.Module):
    """Self-attention, cross-attention to the text and feed-forward; shift, scale and gate of the first and last follow the time."""

    def __init__(self, config, rngs):
        self.config = config
        self.modulation = nnx.Param(jax.random.normal(rngs.params(), (6, config.dim), jnp.float32) * config.dim**-0.5)
        self.attention, self.cross = Attention(config, rngs, 'attention'), Attention(config, rngs, 'cross')
        self.norm = Affine(config.dim, config.eps)
        self.up = Linear(config, config.dim, config.ffn_dim, rngs, 'up')
        self.down = Linear(config, config.ffn_dim, config.dim, rngs, 'down')

    def __call__(self, x, time, text, rotary, dropout=None):
        """x [B, S, D] tokens, time float32 [B, 6, D] or [B, S, 6, D], text [B, T, D] -> [B, S, D]; dropout is Linear's."""
        shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = time_rows(self.modulation[...], time)
        y = modulate(x, shift, scale, self.config.eps)
        x = _gated(x, self.attention(y, y, rotary, dropout), gate)
        x = x + self.cross(self.norm(x), text, dropout=dropout)
        y = modulate(x, ffn_shift, ffn_scale, self.config.eps)
        return _gated(x, self.down(jax.nn.gelu(self.up(y, dropout), approximate=True), dropout), ffn_gate)


def time_rows(table, time):
    """The n rows of table [n, D], each plus its own of time [B, n, D] or [B, S, n, D]: n arrays [B, 1, D] or [B, S, D]."""
    if time.ndim == 3:
        return jnp.split(table[None] + time, len(table), axis=1)
    return [_row(row, 3) + time[:, :, i] for i, row in enumerate(table)]


def _gated(x, y, gate):
    return (x.astype(jnp.float32) + y.astype(jnp.float32) * gate).astype(x.dtype)


def _row(param, ndim):
    return jnp.expand_dims(param, tuple(range(ndim - 1)))
