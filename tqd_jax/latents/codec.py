"""What turns frames into latents and back: the protocol of every codec."""
import itertools
from typing import Protocol

from jaxtyping import Array, Float32, UInt8


class Codec(Protocol):
    """Pure functions of (params, arrays) between uint8 frames [B, F, H, W, 3] and float32 latents [B, f, h, w, C].

    A codec is hashable: two that compute the same are equal, so that programs compiled for one serve the other.
    """

    def init(self, key):
        """Fresh parameters, a tree of arrays; {} where there are none."""

    def load(self, path):
        """Parameters from a file. Raises ValueError where the codec has none, or the file is not its own."""

    def latent_shape(self, frames: int, height: int, width: int) -> tuple:
        """(f, h, w, C) of one clip's latents."""

    def encode(self, params, video: UInt8[Array, 'batch frames height width 3']) -> Float32[Array, 'batch f h w channels']:
        """uint8 [B, F, H, W, 3] -> float32 [B, f, h, w, C]."""

    def decode(self, params, latents: Float32[Array, 'batch f h w channels']) -> UInt8[Array, 'batch frames height width 3']:
        """float32 [B, f, h, w, C] -> uint8 [B, F, H, W, 3]."""

    def check(self, frames: int, height: int, width: int, patch: tuple):
        """Raises ValueError, naming the nearest sizes that fit, unless the codec takes such clips and the patch (frames, rows, columns)
        of the transformer divides their latents."""


def check_sizes(sizes, fits, reason):
    """Raises ValueError with the nearest sizes below and above of those that do not fit.

    sizes: {name: size}. fits: {name: function of a size -> bool}, True for some size above any. reason: words of the message.
    """
    wrong = [f'{name} {size} (take {nearest(size, fits[name])})' for name, size in sizes.items() if not fits[name](size)]
    if wrong:
        raise ValueError(f'{reason}: {", ".join(wrong)}')


def nearest(size, fits):
    """'28 or 32': the nearest sizes below and above that fit; the one above alone where none below does."""
    below = next((n for n in range(size - 1, 0, -1) if fits(n)), None)
    above = next(n for n in itertools.count(max(size + 1, 1)) if fits(n))
    return f'{above}' if below is None else f'{below} or {above}'
