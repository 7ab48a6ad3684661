"""The UMT5 encoder as pure functions of (params, tokens): embedding, blocks with a relative bias each, final norm.

A block is x + attention(norm(x)), then x + feed-forward(norm(x)). Unlike in T5 every block has its own bias table; as in T5 scores are
not divided by the root of the width of a head, norms are RMS norms without bias, and no layer has a bias.
"""
import functools
import operator

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32

from tqd_jax.text.umt5.config import PAD, Umt5Config, abstract_params, distance_buckets, wide_dtype


def init(key, config: Umt5Config, dtype) -> dict:
    """Random parameters: the embedding of variance 1, a kernel of variance 1 / inputs (queries 1 / head_dim less), norms 1."""
    abstract = abstract_params(config, dtype)
    paths, structure = jax.tree.flatten_with_path(abstract)
    keys = jax.random.split(key, len(paths))
    return structure.unflatten([_draw(key, path, leaf, config) for key, (path, leaf) in zip(keys, paths, strict=True)])


def encode(params, tokens: Int32[Array, 'batch length'], config: Umt5Config, dtype) -> Float[Array, 'batch length width']:
    """Features [B, S, width] in `dtype` of tokens int32 [B, S]; rows of padding are zeros and no other row depends on them.

    dtype: of the operands of products; sums, norms, softmax and the residual stream are float32 or wider. Parameters may have any
    dtype and any sharding. The blocks are stacked and scanned, or a list of trees (unstack) and unrolled.
    """
    mask = tokens != PAD
    x = jnp.take(params['embedding'], tokens, axis=0).astype(wide_dtype(dtype))
    step = lambda x, block: (apply_block(block, x, mask, config, dtype), None)
    if isinstance(params['blocks'], list):
        x = functools.reduce(lambda x, block: step(x, block)[0], params['blocks'], x)
    else:
        x, _ = jax.lax.scan(step, x, params['blocks'])
    return finish(params['norm'], x, mask, config, dtype)


def unstack(params) -> dict:
    """The parameters with a list of blocks: compiling takes longer, but XLA's CPU backend, which copies a block out of a stack before
    every use, encodes few tokens in bfloat16 4 times as fast.
    """
    parts = len(jax.tree.leaves(params['blocks'])[0])
    return params | {'blocks': [jax.tree.map(operator.itemgetter(number), params['blocks']) for number in range(parts)]}


def apply_block(block, x: Float[Array, 'batch length width'], mask: Bool[Array, 'batch length'], config: Umt5Config, dtype):
    """One block of x [B, S, width]; mask [B, S] is True where a token is no padding."""
    x = x + _attend(block['attention'], _norm(block['attention_norm'], x, config), mask, config, dtype)
    y = _norm(block['ffn_norm'], x, config)
    hidden = jax.nn.gelu(_product(y, block['gate'], dtype), approximate=True) * _product(y, block['up'], dtype)
    return x + _product(hidden, block['down'], dtype)


def finish(norm, x: Float[Array, 'batch length width'], mask: Bool[Array, 'batch length'], config: Umt5Config, dtype):
    """The final norm of x [B, S, width], in `dtype`, zero where mask [B, S] is False."""
    return jnp.where(mask[..., None], _norm(norm, x, config), 0).astype(dtype)


def relative_bias(table: Float[Array, 'buckets heads'], config: Umt5Config, length: int) -> Float[Array, 'heads length length']:
    """[heads, S, S]: entry (i, j) is the table's value of distance j - i.

    Only 2 S values differ, so they are looked up once and laid out by shapes alone, because a look-up of S^2 is slow on accelerators:
    the row of values w of width 2 S, repeated and cut anew at width 2 S - 1, moves by one place a line.
    """
    values = jnp.take(table, distance_buckets(config, length), axis=0).T
    w = jnp.pad(values, ((0, 0), (0, 1)))
    lines = jnp.broadcast_to(w[:, None], (config.heads, length, 2 * length)).reshape(config.heads, -1)
    return lines[:, :length * (2 * length - 1)].reshape(config.heads, length, 2 * length - 1)[:, :, length - 1:]


def _attend(params, y, mask, config, dtype):
    heads = lambda z: z.reshape(*z.shape[:2], config.heads, config.head_dim).astype(dtype)
    q, k, v = (heads(_product(y, params[name], dtype)) for name in 'qkv')
    einsum = functools.partial(jnp.einsum, preferred_element_type=wide_dtype(dtype), precision=_precision(dtype))
    scores = einsum('bqhd,bkhd->bhqk', q, k) + relative_bias(params['bias'], config, y.shape[1])[None].astype(wide_dtype(dtype))
    weights = jax.nn.softmax(jnp.where(mask[:, None, None], scores, jnp.finfo(scores.dtype).min), axis=-1)
    mixed = einsum('bhqk,bkhd->bqhd', weights.astype(dtype), v)
    return _product(mixed.reshape(*y.shape[:2], config.inner), params['out'], dtype)


def _product(x, linear, dtype):
    return jnp.matmul(x.astype(dtype), linear['kernel'].astype(dtype), preferred_element_type=wide_dtype(dtype),
                      precision=_precision(dtype))


def _precision(dtype):
    """float32 means float32: by default accelerators round its operands."""
    return None if jnp.dtype(dtype) == jnp.bfloat16 else jax.lax.Precision.HIGHEST


def _norm(params, x, config):
    scaled = x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + config.eps)
    return scaled * params['scale'].astype(x.dtype)[None, None]


def _draw(key, path, leaf, config):
    names = [entry.key for entry in path]
    if names[-1] == 'scale':
        return jnp.ones(leaf.shape, leaf.dtype)
    fan_in = {'embedding': 1, 'bias': config.width}.get(names[-1], leaf.shape[-2])
    fan_in = fan_in * config.head_dim if 'q' in names else fan_in
    return (jax.random.normal(key, leaf.shape, jnp.float32) * fan_in**-0.5).astype(leaf.dtype)
