"""Sizes of a UMT5 encoder, its parameters' shapes, and which bucket of its bias tables a distance between tokens falls in."""
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int32

PAD, EOS = 0, 1  # tokens: padding, and the end of every caption


@dataclasses.dataclass(frozen=True, kw_only=True)
class Umt5Config:
    """vocab: tokens. width: of the features. ffn: width of the feed-forward's hidden layer. buckets, max_distance: of the relative
    bias, whose distances from max_distance on share one bucket in each direction. eps: of the RMS norms.
    """
    vocab: int
    width: int
    heads: int
    head_dim: int
    ffn: int
    layers: int
    buckets: int = 32
    max_distance: int = 128
    eps: float = 1e-6

    @property
    def inner(self) -> int:
        """Width of queries, keys and values of all heads."""
        return self.heads * self.head_dim


XXL = Umt5Config(vocab=256384, width=4096, heads=64, head_dim=64, ffn=10240, layers=24)


def abstract_block(config: Umt5Config, dtype) -> dict:
    """Shapes and dtypes of one block's parameters: kernels [inputs, outputs] in `dtype`, norms and bias table in float32 or wider."""
    c, kernel = config, lambda *shape: {'kernel': jax.ShapeDtypeStruct(shape, jnp.dtype(dtype))}
    wide = lambda *shape: jax.ShapeDtypeStruct(shape, wide_dtype(dtype))
    attention = {name: kernel(c.width, c.inner) for name in 'qkv'} | {'out': kernel(c.inner, c.width), 'bias': wide(c.buckets, c.heads)}
    return {'attention_norm': {'scale': wide(c.width)}, 'attention': attention, 'ffn_norm': {'scale': wide(c.width)},
            'gate': kernel(c.width, c.ffn), 'up': kernel(c.width, c.ffn), 'down': kernel(c.ffn, c.width)}


def abstract_params(config: Umt5Config, dtype) -> dict:
    """Shapes and dtypes of all parameters: {'embedding' [vocab, width], 'blocks' (each leaf with a leading axis layers), 'norm'}."""
    stacked = lambda leaf: jax.ShapeDtypeStruct((config.layers, *leaf.shape), leaf.dtype)
    return {'embedding': jax.ShapeDtypeStruct((config.vocab, config.width), jnp.dtype(dtype)),
            'blocks': jax.tree.map(stacked, abstract_block(config, dtype)),
            'norm': {'scale': jax.ShapeDtypeStruct((config.width,), wide_dtype(dtype))}}


def wide_dtype(dtype) -> np.dtype:
    """The dtype of sums, norms and softmax beside products in `dtype`: float32, or float64 beside float64."""
    return np.dtype(np.float64 if jnp.dtype(dtype) == np.float64 else np.float32)


def bucket_starts(config: Umt5Config) -> list[int]:
    """The least distance of every bucket of one direction, buckets // 2 of them.

    With half = buckets // 2 and exact = half // 2, distance d < exact has bucket d, and a longer one
    min(half - 1, exact + floor((half - exact) ln(d / exact) / ln(max_distance / exact))), here in whole numbers, hence without rounding.
    """
    half = config.buckets // 2
    exact = half // 2
    starts = list(range(exact))
    for k in range(half - exact):
        reaches = lambda d, k=k: (d**(half - exact) * exact**k >= config.max_distance**k * exact**(half - exact))
        starts.append(next(d for d in range(exact, config.max_distance + 1) if reaches(d)))
    return starts


def distance_buckets(config: Umt5Config, length: int) -> Int32[np.ndarray, ' distances']:
    """int32 [2 length - 1]: the bucket of every distance key - query in 1 - length, ..., length - 1.

    The first half of the buckets is for keys at or before the query, the second for keys after it.
    """
    distances = np.arange(1 - length, length)
    side = np.searchsorted(bucket_starts(config), np.abs(distances), side='right') - 1
    return (side + (distances > 0) * (config.buckets // 2)).astype(np.int32)
