"""Norm, residual block, attention within a frame, and the middle of encoder and decoder.

A function with a state returns (y, state): the last frames that its causal convolutions saw, by name; state None is the
start of a clip.
"""
import functools

import jax
import jax.numpy as jnp
from jax import lax

from tqd_jax.latents.wan_vae.chunks import by_frame
from tqd_jax.latents.wan_vae.convolve import causal_conv, linear, precision, row

EPSILON = 1e-12
QUERIES = 1024  # rows of the attention's scores at a time: 6240 tokens of a frame need 26 MB, not 156


def rms_norm(params, x):
    """x / max(|x|, 1e-12) sqrt(C) scale over the last axis, at least in float32, returned in x's dtype."""
    y = x.astype(wide_dtype(x.dtype))
    size = jnp.sqrt(jnp.sum(jnp.square(y), axis=-1, keepdims=True))
    y = y / jnp.maximum(size, EPSILON) * (x.shape[-1] ** 0.5 * row(params['scale'].astype(y.dtype), x))
    return y.astype(x.dtype)


def activated(params, x):
    """SiLU of the norm."""
    return jax.nn.silu(rms_norm(params, x))


def residual_block(params, x, state):
    """x, or a projection of it to other channels, plus conv(silu(norm(conv(silu(norm(x))))))."""
    state = state or {}
    y, first = causal_conv(params['conv1'], activated(params['norm1'], x), state.get('conv1'))
    y, second = causal_conv(params['conv2'], activated(params['norm2'], y), state.get('conv2'))
    shortcut = linear(params['shortcut'], x) if 'shortcut' in params else x
    return shortcut + y, {'conv1': first, 'conv2': second}


def residual_blocks(params, x, state):
    """Residual blocks one after another, in the order of their numbers."""
    return by_frame(functools.partial(_in_turn, params), x, state)


def _in_turn(params, x, state):
    state, after = state or {}, {}
    for name in sorted(params, key=int):
        x, after[name] = residual_block(params[name], x, state.get(name))
    return x, after


def attention(params, x):
    """x plus attention of one head among the places of each frame [B, F, H, W, C]."""
    q, k, v = jnp.split(linear(params['qkv'], rms_norm(params['norm'], x)), 3, axis=-1)
    flat = lambda y: y.reshape(-1, x.shape[2] * x.shape[3], x.shape[4])
    return x + linear(params['proj'], _attend(flat(q), flat(k), flat(v)).reshape(x.shape))


def _attend(q, k, v):
    """softmax(q k^T / sqrt(C)) v of [N, S, C], some queries at a time."""
    count, tokens, channels = q.shape
    if tokens <= QUERIES:
        return _attend_all(q, k, v)
    q = jnp.pad(q, ((0, 0), (0, -tokens % QUERIES), (0, 0))).reshape(count, -1, QUERIES, channels)
    y = lax.map(lambda some: _attend_all(some, k, v), q.swapaxes(0, 1)).swapaxes(0, 1)
    return y.reshape(count, -1, channels)[:, :tokens]


def _attend_all(q, k, v):
    scores = jnp.einsum('nqc,nkc->nqk', q, k, precision=precision(q), preferred_element_type=wide_dtype(q.dtype))
    weights = jax.nn.softmax(scores * q.shape[-1] ** -0.5, axis=-1).astype(v.dtype)
    return jnp.einsum('nqk,nkc->nqc', weights, v, precision=precision(q))


def wide_dtype(dtype):
    """The dtype of norms and softmax: float32 for bfloat16, else the same."""
    return jnp.float32 if dtype == jnp.bfloat16 else dtype


def middle(params, x, state):
    """Residual block, attention, residual block."""
    state = state or {}
    x, first = residual_block(params['first'], x, state.get('first'))
    x, second = residual_block(params['second'], attention(params['attention'], x), state.get('second'))
    return x, {'first': first, 'second': second}


def head(params, x, state):
    """The last convolution of SiLU of the norm."""
    return causal_conv(params['conv_out'], activated(params['norm_out'], x), state)
