"""A three-layer convolutional network for small images, laid out for many seeds at once."""
import itertools

import jax
import jax.numpy as jnp
from flax import nnx

from transfer_jax.experiment.models.layers import Patched, he, lecun


class ConvNet(nnx.Module):
    """Three times: 3 x 3 convolution, 2 x 2 max pooling, ReLU; then the head over all that is left of the image. No norms.

    A last odd row or column is not pooled. Images need eight rows and columns. With other weights for every seed XLA makes of a convolution
    a grouped one, slow on a CPU and slower in a loop; a product of gathered patches it does well.
    """

    def __init__(self, shape, channels, outputs, *, dtype, rngs):
        rows, columns, first = shape
        widths = (first, *channels)
        self.layers = nnx.List([Patched(3, *pair, start=he, dtype=dtype, rngs=rngs) for pair in itertools.pairwise(widths)])
        shrunk = 2**len(channels)
        self.head = nnx.Linear((rows // shrunk) * (columns // shrunk) * widths[-1], outputs, kernel_init=lecun, rngs=rngs)

    def features(self, x):
        """[B, H // 8 * W // 8 * C]."""
        for layer in self.layers:
            x = jax.nn.relu(max_pool(layer(patches(x))))
        return x.reshape(len(x), -1)


def patches(x):
    """[B, H, W, 9 C] of images [B, H, W, C]: the 3 x 3 neighbours of every pixel, rows slowest, channels fastest."""
    rows, columns = x.shape[1:3]
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    x = jnp.concatenate([x[:, :, j:j + columns] for j in range(3)], -1)
    return jnp.concatenate([x[:, i:i + rows] for i in range(3)], -1)


def max_pool(x):
    """The largest of every 2 x 2 pixels of [B, H, W, C]."""
    b, rows, columns, c = x.shape
    x = x[:, :rows // 2 * 2, :columns // 2 * 2]
    return x.reshape(b, rows // 2, 2, columns // 2, 2, c).max((2, 4))
