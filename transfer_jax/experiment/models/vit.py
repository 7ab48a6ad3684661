"""The vision transformer (Dosovitskiy et al., 2021, arXiv:2010.11929) as timm builds it: norms first, a class token, biases everywhere."""
import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from transfer_jax.experiment.models.layers import Dense, PatchDense, lecun

PATCH = 16
SMALL = nnx.initializers.constant(0.02)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ViTSizes:
    """dim: width of a token, hidden 4 dim; depth: blocks; heads; eps: added to the variance in every LayerNorm."""
    dim: int
    depth: int
    heads: int
    eps: float = 1e-6  # timm's and torchvision's; transformers' default is 1e-12


VITS = {'vit_s16': ViTSizes(dim=384, depth=12, heads=6), 'vit_b16': ViTSizes(dim=768, depth=12, heads=12)}


class ViT(nnx.Module):
    """Patches of 16 x 16 and a class token, learned positions, blocks, LayerNorm; the head takes the class token.

    Parameters are named as timm names them; those of the blocks are stacked on a leading axis and scanned, so that one block is compiled.
    shape: (H, W, C) of the images, H and W multiples of 16.
    """

    def __init__(self, sizes: ViTSizes, shape: tuple[int, ...], outputs: int, *, dtype: str, rngs: nnx.Rngs):
        rows, columns = grid_of(shape)
        draw = lambda *shape: nnx.Param(SMALL(rngs.params(), shape, jnp.float32))
        self.patch_embed = PatchDense(PATCH, shape[2], sizes.dim, start=SMALL, dtype=dtype, rngs=rngs)
        self.cls_token, self.pos_embed = draw(1, 1, sizes.dim), draw(1, 1 + rows * columns, sizes.dim)
        self.blocks = _stack_blocks(sizes, dtype, rngs)
        self.norm = nnx.LayerNorm(sizes.dim, epsilon=sizes.eps, rngs=rngs)
        self.head = nnx.Linear(sizes.dim, outputs, kernel_init=lecun, rngs=rngs)

    def features(self, x: jax.Array) -> jax.Array:
        """[B, dim]: the class token after the last norm."""
        x = self.patch_embed(patches(x)).astype(jnp.float32)
        first = jnp.broadcast_to(self.cls_token[...], (len(x), 1, x.shape[-1]))
        x = jnp.concatenate([first, x], 1) + self.pos_embed[...]
        graphdef, blocks = nnx.split(self.blocks)
        x, _ = jax.lax.scan(lambda x, block: (nnx.merge(graphdef, block)(x), None), x, blocks)
        return self.norm(x[:, 0])


class Attention(nnx.Module):
    """softmax(q k' / sqrt(dim / heads)) v, over all tokens."""

    def __init__(self, sizes: ViTSizes, *, dtype: str, rngs: nnx.Rngs):
        self.heads = sizes.heads
        self.qkv = Dense(sizes.dim, 3 * sizes.dim, kernel_init=SMALL, dtype=dtype, rngs=rngs)
        self.proj = Dense(sizes.dim, sizes.dim, kernel_init=SMALL, dtype=dtype, rngs=rngs)

    def __call__(self, x):
        q, k, v = self.qkv(x).reshape(*x.shape[:2], 3, self.heads, -1).transpose(2, 0, 3, 1, 4)  # [B, heads, tokens, dim / heads] each
        scores = (q * q.shape[-1] ** -0.5) @ k.swapaxes(-1, -2)
        y = jax.nn.softmax(scores.astype(jnp.float32)).astype(v.dtype) @ v
        return self.proj(y.swapaxes(1, 2).reshape(x.shape))


class FeedForward(nnx.Module):
    """Two dense layers with a GELU (exact) between them."""

    def __init__(self, sizes: ViTSizes, *, dtype: str, rngs: nnx.Rngs):
        self.fc1 = Dense(sizes.dim, 4 * sizes.dim, kernel_init=SMALL, dtype=dtype, rngs=rngs)
        self.fc2 = Dense(4 * sizes.dim, sizes.dim, kernel_init=SMALL, dtype=dtype, rngs=rngs)

    def __call__(self, x):
        return self.fc2(jax.nn.gelu(self.fc1(x), approximate=False))


class Block(nnx.Module):
    """x + attention(norm(x)), then the same with the feed-forward; sums and norms in float32."""

    def __init__(self, sizes: ViTSizes, *, dtype: str, rngs: nnx.Rngs):
        norm = lambda: nnx.LayerNorm(sizes.dim, epsilon=sizes.eps, rngs=rngs)
        self.norm1, self.attn = norm(), Attention(sizes, dtype=dtype, rngs=rngs)
        self.norm2, self.mlp = norm(), FeedForward(sizes, dtype=dtype, rngs=rngs)

    def __call__(self, x):
        x = x + self.attn(self.norm1(x)).astype(x.dtype)
        return x + self.mlp(self.norm2(x)).astype(x.dtype)


def patches(x: jax.Array) -> jax.Array:
    """Images [B, H, W, C] -> [B, H / 16 * W / 16, 256 C], rows slowest, channels fastest within a patch."""
    b, rows, columns, c = len(x), *grid_of(x.shape[1:]), x.shape[3]
    return x.reshape(b, rows, PATCH, columns, PATCH, c).transpose(0, 1, 3, 2, 4, 5).reshape(b, rows * columns, PATCH * PATCH * c)


def grid_of(shape: Sequence[int]) -> tuple[int, int]:
    """Patches along the rows and columns of images (H, W, C)."""
    return shape[0] // PATCH, shape[1] // PATCH


def _stack_blocks(sizes, dtype, rngs):
    @nnx.split_rngs(splits=sizes.depth)
    @nnx.vmap
    def make(rngs):
        return Block(sizes, dtype=dtype, rngs=rngs)

    return make(rngs)
