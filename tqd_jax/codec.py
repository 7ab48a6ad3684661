"""Pixels to latents and back: the interface a video VAE will fill, and the identity that trains on pixels."""
from typing import Protocol

import jax.numpy as jnp


class Codec(Protocol):
    """Pure functions between uint8 frames [B, F, H, W, 3] and float32 latents [B, f, h, w, C]."""

    def latent_shape(self, frames: int, height: int, width: int) -> tuple:
        """(f, h, w, C) of one clip's latents."""

    def encode(self, frames):
        """uint8 [B, F, H, W, 3] -> float32 [B, f, h, w, C]."""

    def decode(self, latents):
        """float32 [B, f, h, w, C] -> uint8 [B, F, H, W, 3]."""


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
