"""Batch: what one training step reads, and the one place that says its shapes, dtypes and shardings."""
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from tqd_jax.timesteps.law import Law, make_law


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch:
    """B examples of one bucket; every leaf has the leading axis B, which is the global batch.

    video: uint8 frames [B, F, H, W, 3], or float32 latents of the codec [B, f, h, w, C]. text: captions as the text encoder prepares
    them [B, ...]. example: uint32 [B], number of the draw: the key of all that is random. clip: int32 [B], row of the library.
    weight: float32 [B], of the loss. law: the Law of t, leaves [B, ...].
    """
    video: jax.Array
    text: jax.Array
    example: jax.Array
    clip: jax.Array
    weight: jax.Array
    law: Law


def batch_spec(size, bucket, codec, text, sharding=None, latents=False):
    """The Batch of jax.ShapeDtypeStruct for `size` examples of a Bucket.

    codec: a Codec. text: a TextEncoder. sharding: of every leaf. latents: the video is the codec's latents, encoded beforehand.
    """
    leaf = lambda dtype, *shape: jax.ShapeDtypeStruct((size, *shape), dtype, sharding=sharding)
    shape = bucket.frames, bucket.height, bucket.width
    video = leaf(jnp.float32, *codec.latent_shape(*shape)) if latents else leaf(jnp.uint8, *shape, 3)
    caption = text.spec()
    law = jax.tree.map(lambda x: leaf(x.dtype, *x.shape[1:]), make_law(1))
    return Batch(video=video, text=leaf(caption.dtype, *caption.shape), example=leaf(jnp.uint32), clip=leaf(jnp.int32),
                 weight=leaf(jnp.float32), law=law)


def uniform_batch(video, text):
    """The Batch of examples 0, 1, ... of clips 0, 1, ... that all count the same, t ~ U(0, 1): for gradients and losses at a chosen t."""
    size = len(video)
    return Batch(video=video, text=text, example=np.arange(size, dtype=np.uint32), clip=np.arange(size, dtype=np.int32),
                 weight=np.ones(size, np.float32), law=make_law(size))
