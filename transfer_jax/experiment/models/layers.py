"""What several networks are built of: dense layers, patches as matrices, and how kernels start."""
import itertools
import math

import jax
import jax.numpy as jnp
from flax import nnx


class Dense(nnx.Linear):
    """A dense layer over the last axis."""

    def __call__(self, x):
        # one matrix product: with several leading axes XLA's CPU backend takes twice as long over the weights' gradient
        return super().__call__(x.reshape(-1, x.shape[-1])).reshape(*x.shape[:-1], -1)


class Patched(nnx.Module):
    """A convolution as one matrix product, for patches [..., size * size * inputs] that are already gathered, channels fastest."""

    def __init__(self, size, inputs, outputs, *, start, dtype, rngs):
        self.dtype = dtype
        self.kernel = nnx.Param(start(rngs.params(), (size, size, inputs, outputs), jnp.float32))
        self.bias = nnx.Param(jnp.zeros(outputs, jnp.float32))

    def __call__(self, x):
        kernel, bias = (p[...].astype(self.dtype) for p in (self.kernel, self.bias))
        y = x.astype(self.dtype).reshape(-1, x.shape[-1]) @ kernel.reshape(x.shape[-1], -1) + bias[None]
        return y.reshape(*x.shape[:-1], -1)


def he(key, shape, dtype):
    """sqrt(2 / fan-in): the standard deviation in the place of a draw (see normals), for layers before a ReLU or GELU."""
    return jnp.full(shape, (2 / math.prod(shape[:-1])) ** 0.5, dtype)


def lecun(key, shape, dtype):
    """sqrt(1 / fan-in): the standard deviation in the place of a draw, for heads."""
    return jnp.full(shape, math.prod(shape[:-1]) ** -0.5, dtype)


def normals(key, shapes):
    """{path: standard normal array} of {path: shape}: one draw for all, since every draw that is compiled takes a CPU half a second."""
    ends = list(itertools.accumulate(map(math.prod, shapes.values()), initial=0))
    flat = jax.random.normal(key, ends[-1:], jnp.float32)
    return {path: flat[start:end].reshape(shape) for (path, shape), start, end in zip(shapes.items(), ends[:-1], ends[1:], strict=True)}
