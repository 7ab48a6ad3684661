"""Residual networks (He et al., 2016, arXiv:1512.03385), torchvision's v1.5: a bottleneck's stride is in its 3 x 3 convolution."""
import dataclasses
import functools

import jax
import jax.numpy as jnp
from flax import nnx

from transfer_jax.experiment.models.layers import he, lecun


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResNetSizes:
    """depths: blocks in each stage; bottleneck: blocks of three convolutions rather than two; width: channels of the first stage."""
    depths: tuple[int, ...]
    bottleneck: bool
    width: int = 64


RESNETS = {
    'resnet18': ResNetSizes(depths=(2, 2, 2, 2), bottleneck=False),
    'resnet50': ResNetSizes(depths=(3, 4, 6, 3), bottleneck=True),
}


class ResNet(nnx.Module):
    """Stem, stages of residual blocks, mean over the image, head. Parameters are named as torchvision names them.

    norm: 'batch' normalises by the statistics of a file, which are frozen: an affine map, so that rows of a batch stay independent; its
    scale and bias are parameters. Without a file, statistics would not fit and so deep a network would not train: then take 'group' (Wu and
    He, 2018, arXiv:1803.08494; 32 groups).
    """

    def __init__(self, sizes: ResNetSizes, channels: int, outputs: int, *, norm: str, dtype: str, rngs: nnx.Rngs):
        parts = Parts(norm, dtype, rngs)
        self.conv1, self.bn1 = parts.conv(channels, sizes.width, 7, 2), parts.norm(sizes.width)
        self.stages = len(sizes.depths)
        for i, stage in enumerate(_stages(sizes, parts), 1):
            setattr(self, f'layer{i}', stage)
        self.head = nnx.Linear(_widths(sizes)[-1], outputs, kernel_init=lecun, rngs=rngs)

    def features(self, x: jax.Array) -> jax.Array:
        """[B, D]: the last stage's channels, 512 of a ResNet-18 and 2048 of a ResNet-50."""
        x = jax.nn.relu(self.bn1(self.conv1(x)))
        x = nnx.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        for i in range(1, self.stages + 1):
            for block in getattr(self, f'layer{i}'):
                x = block(x)
        return jnp.mean(x, (1, 2))


class Block(nnx.Module):
    """relu(x + F(x)): F of two 3 x 3 convolutions, or of 1 x 1, 3 x 3, 1 x 1, each normalised; x is projected where its shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int, bottleneck: bool, parts: 'Parts'):
        inner = outputs // 4 if bottleneck else outputs
        # channels and size of each convolution; the first 3 x 3 takes the stride
        shapes = ((inputs, inner, 1), (inner, inner, 3), (inner, outputs, 1)) if bottleneck else ((inputs, inner, 3), (inner, outputs, 3))
        self.count = len(shapes)
        for i, (before, after, size) in enumerate(shapes, 1):
            setattr(self, f'conv{i}', parts.conv(before, after, size, stride if i == self.count - 1 else 1))
            setattr(self, f'bn{i}', parts.norm(after))
        if stride > 1 or inputs != outputs:
            self.downsample = nnx.List([parts.conv(inputs, outputs, 1, stride), parts.norm(outputs)])
        else:
            self.downsample = nnx.List([])

    def __call__(self, x):
        y = x
        for i in range(1, self.count + 1):
            y = getattr(self, f'bn{i}')(getattr(self, f'conv{i}')(y))
            y = jax.nn.relu(y) if i < self.count else y
        for part in self.downsample:
            x = part(x)
        return jax.nn.relu(x + y)


class Parts:
    """The convolutions, in dtype, and the norms, in float32, of one network."""

    def __init__(self, norm: str, dtype: str, rngs: nnx.Rngs):
        kinds = {'batch': functools.partial(nnx.BatchNorm, use_running_average=True), 'group': nnx.GroupNorm}
        self.norm = functools.partial(kinds[norm], epsilon=1e-5, dtype=jnp.float32, rngs=rngs)
        self.dtype, self.rngs = dtype, rngs

    def conv(self, inputs: int, outputs: int, size: int, stride: int) -> nnx.Conv:
        """A square convolution without bias, zeros around the image."""
        edge = (size // 2, size // 2)
        return nnx.Conv(inputs, outputs, (size, size), strides=(stride, stride), padding=(edge, edge), use_bias=False,
                        kernel_init=he, dtype=self.dtype, rngs=self.rngs)


def _widths(sizes):
    return tuple(sizes.width * 2**stage * (4 if sizes.bottleneck else 1) for stage in range(len(sizes.depths)))


def _stages(sizes, parts):
    before = sizes.width
    for stage, (depth, width) in enumerate(zip(sizes.depths, _widths(sizes), strict=True)):
        first = Block(before, width, 2 if stage else 1, sizes.bottleneck, parts)
        yield nnx.List([first, *(Block(width, width, 1, sizes.bottleneck, parts) for _ in range(depth - 1))])
        before = width
