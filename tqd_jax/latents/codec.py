"""What turns frames into latents and back: the protocol of every codec."""
from typing import Protocol


class Codec(Protocol):
    """Pure functions between uint8 frames [B, F, H, W, 3] and float32 latents [B, f, h, w, C]."""

    def latent_shape(self, frames: int, height: int, width: int) -> tuple:
        """(f, h, w, C) of one clip's latents."""

    def encode(self, frames):
        """uint8 [B, F, H, W, 3] -> float32 [B, f, h, w, C]."""

    def decode(self, latents):
        """float32 [B, f, h, w, C] -> uint8 [B, F, H, W, 3]."""
