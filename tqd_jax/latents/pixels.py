"""The codec that trains on pixels: latents are the pixels themselves."""
import jax.numpy as jnp


class PixelCodec:
    """Latents are the pixels, scaled from [0, 255] to [-1, 1]."""

    def latent_shape(self, frames, height, width):
        """(F, H, W, 3)."""
        return frames, height, width, 3

    def encode(self, frames):
        """x / 127.5 - 1."""
        return frames.astype(jnp.float32) / 127.5 - 1.0

    def decode(self, latents):
        """The nearest of 256 levels, clipped."""
        return jnp.clip(jnp.round((latents + 1.0) * 127.5), 0, 255).astype(jnp.uint8)
