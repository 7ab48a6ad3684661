"""The codec that trains on pixels: latents are the pixels themselves."""
import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Float32, UInt8

from tqd_jax.latents.codec import check_sizes
from transfer_jax.runtime.counts import counted


@dataclasses.dataclass(frozen=True)
class PixelCodec:
    """Latents are the pixels, scaled from [0, 255] to [-1, 1]; no parameters, every length and size."""

    def init(self, key):
        """No parameters."""
        return {}

    def load(self, path):
        """Raises ValueError: there is nothing to load."""
        raise ValueError(f'the codec of pixels has no parameters, so {path} cannot be its file')

    def latent_shape(self, frames: int, height: int, width: int) -> tuple:
        """(F, H, W, 3)."""
        return frames, height, width, 3

    def encode(self, params, video: UInt8[Array, 'batch frames height width 3']) -> Float32[Array, 'batch f h w channels']:
        """x / 127.5 - 1."""
        return video.astype(jnp.float32) / 127.5 - 1.0

    def decode(self, params, latents: Float32[Array, 'batch f h w channels']) -> UInt8[Array, 'batch frames height width 3']:
        """The nearest of 256 levels, clipped."""
        return jnp.clip(jnp.round((latents + 1.0) * 127.5), 0, 255).astype(jnp.uint8)

    def check(self, frames: int, height: int, width: int, patch: tuple):
        """Raises ValueError, naming the nearest sizes that fit, unless the patch (frames, rows, columns) divides the clip."""
        sizes = {'frames': frames, 'height': height, 'width': width}
        fits = {name: lambda n, step=step: n > 0 and n % step == 0 for name, step in zip(sizes, patch, strict=True)}
        check_sizes(sizes, fits, f'the transformer\'s patch is {counted(patch[0], "frame")} of {patch[1]} x {patch[2]} latents')
