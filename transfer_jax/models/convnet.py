"""A three-layer convolutional network for small images, laid out for many seeds at once."""
import itertools

import jax
import jax.numpy as jnp
from flax import nnx


class ConvNet(nnx.Module):
    """Three times: 3 x 3 convolution, 2 x 2 max pooling, ReLU; then the head over all that is left of the image. No norms.

    A last odd row or column is not pooled. Images need eight rows and columns.
    """

    def __init__(self, shape, channels, outputs, *, dtype, rngs):
        rows, columns, first = shape
        widths = (first, *channels)
        self.layers = nnx.List([Conv(*pair, dtype=dtype, rngs=rngs) for pair in itertools.pairwise(widths)])
        shrunk = 2**len(channels)
        self.head = nnx.Linear((rows // shrunk) * (columns // shrunk) * widths[-1], outputs, rngs=rngs)

    def features(self, x):
        """[B, H // 8 * W // 8 * C]."""
        for layer in self.layers:
            x = jax.nn.relu(pooled(layer(x)))
        return x.reshape(len(x), -1)


class Conv(nnx.Module):
    """A 3 x 3 convolution, zeros around the image, as one matrix product of its gathered patches.

    With other weights for every seed XLA makes of a convolution a grouped one, slow on a CPU and slower in a loop; a product it does well.
    """

    def __init__(self, inputs, outputs, *, dtype, rngs):
        self.dtype = dtype
        self.kernel = nnx.Param(nnx.initializers.he_normal()(rngs.params(), (3, 3, inputs, outputs), jnp.float32))
        self.bias = nnx.Param(jnp.zeros(outputs, jnp.float32))

    def __call__(self, x):
        kernel, bias = (p[...].astype(self.dtype) for p in (self.kernel, self.bias))
        kernel = kernel.reshape(-1, kernel.shape[-1])
        y = patches(x.astype(self.dtype)).reshape(-1, len(kernel)) @ kernel + bias[None]
        return y.reshape(*x.shape[:-1], -1)


def patches(x):
    """[B, H, W, 9 C] of images [B, H, W, C]: the 3 x 3 neighbours of every pixel, rows slowest, channels fastest."""
    rows, columns = x.shape[1:3]
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    x = jnp.concatenate([x[:, :, j:j + columns] for j in range(3)], -1)
    return jnp.concatenate([x[:, i:i + rows] for i in range(3)], -1)


def pooled(x):
    """The largest of every 2 x 2 pixels of [B, H, W, C]."""
    b, rows, columns, c = x.shape
    x = x[:, :rows // 2 * 2, :columns // 2 * 2]
    return x.reshape(b, rows // 2, 2, columns // 2, 2, c).max((2, 4))
