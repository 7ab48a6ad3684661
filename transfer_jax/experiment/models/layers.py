"""Layers that several networks share, and the standard deviations of kernels at the start."""
import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx


class Dense(nnx.Linear):
    """A dense layer over the last axis."""

    def __call__(self, x):
        # one matrix product: with several leading axes XLA takes twice as long on a CPU for the weights' gradient
        return super().__call__(x.reshape(-1, x.shape[-1])).reshape(*x.shape[:-1], -1)


class PatchDense(nnx.Module):
    """A convolution as one matrix product with patches [..., size * size * inputs] that are already gathered, channels fastest."""

    def __init__(self, size: int, inputs: int, outputs: int, *, start: Callable[..., jax.Array], dtype: str, rngs: nnx.Rngs):
        self.dtype = dtype
        self.kernel = nnx.Param(start(rngs.params(), (size, size, inputs, outputs), jnp.float32))
        self.bias = nnx.Param(jnp.zeros(outputs, jnp.float32))

    def __call__(self, x):
        kernel, bias = (p[...].astype(self.dtype) for p in (self.kernel, self.bias))
        y = x.astype(self.dtype).reshape(-1, x.shape[-1]) @ kernel.reshape(x.shape[-1], -1) + bias[None]
        return y.reshape(*x.shape[:-1], -1)


def he(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """An array of sqrt(2 / fan-in), the standard deviation of a layer before a ReLU or GELU; model.fresh multiplies it by a draw."""
    return jnp.full(shape, (2 / math.prod(shape[:-1])) ** 0.5, dtype)


def lecun(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """An array of sqrt(1 / fan-in), the standard deviation of a head; model.fresh multiplies it by a draw."""
    return jnp.full(shape, math.prod(shape[:-1]) ** -0.5, dtype)


def normals(key: jax.Array, shapes: Mapping[tuple, tuple[int, ...]]) -> dict[tuple, jax.Array]:
    """{path: standard normal array} of {path: shape}: one draw for all, because a CPU compiles for half a second per draw."""
    ends = list(itertools.accumulate(map(math.prod, shapes.values()), initial=0))
    flat = jax.random.normal(key, ends[-1:], jnp.float32)
    return {path: flat[start:end].reshape(shape) for (path, shape), start, end in zip(shapes.items(), ends[:-1], ends[1:], strict=True)}
