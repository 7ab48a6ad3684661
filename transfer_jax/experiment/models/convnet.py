"""A three-layer convolutional network for small images, fast for many seeds at once."""
import itertools

import jax
import jax.numpy as jnp
from flax import nnx

from transfer_jax.experiment.models.layers import PatchDense, he, lecun


class ConvNet(nnx.Module):
    """Three times: 3 x 3 convolution, 2 x 2 max pooling, ReLU; then the head over all that is left of the image. No norms.

    A last odd row or column is not pooled. Images need eight rows and columns. Where every seed has its own weights, XLA turns a
    convolution into a grouped one, which is slow on a CPU; a matrix product with gathered patches is fast.
    """

    def __init__(self, shape: tuple[int, ...], channels: tuple[int, ...], outputs: int, *, dtype: str, rngs: nnx.Rngs):
        rows, columns, first = shape
        widths = (first, *channels)
        self.layers = nnx.List([PatchDense(3, *pair, start=he, dtype=dtype, rngs=rngs) for pair in itertools.pairwise(widths)])
        factor = 2**len(channels)
        self.head = nnx.Linear((rows // factor) * (columns // factor) * widths[-1], outputs, kernel_init=lecun, rngs=rngs)

    def features(self, x: jax.Array) -> jax.Array:
        """[B, H // 8 * W // 8 * C]."""
        for layer in self.layers:
            x = jax.nn.relu(max_pool(layer(patches(x))))
        return x.reshape(len(x), -1)


def patches(x: jax.Array) -> jax.Array:
    """[B, H, W, 9 C] of images [B, H, W, C]: the 3 x 3 neighbours of every pixel, rows slowest, channels fastest."""
    rows, columns = x.shape[1:3]
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    x = jnp.concatenate([x[:, :, j:j + columns] for j in range(3)], -1)
    return jnp.concatenate([x[:, i:i + rows] for i in range(3)], -1)


def max_pool(x: jax.Array) -> jax.Array:
    """The largest of every 2 x 2 pixels of [B, H, W, C]."""
    b, rows, columns, c = x.shape
    x = x[:, :rows // 2 * 2, :columns // 2 * 2]
    return x.reshape(b, rows // 2, 2, columns // 2, 2, c).max((2, 4))
