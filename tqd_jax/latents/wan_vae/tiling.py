"""A function of pictures applied tile by tile, with overlaps blended linearly: less memory, approximate results."""
import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tiles:
    """Tiles of size x size pixels, of which neighbours share `overlap` rows or columns.

    Each tile is encoded or decoded as if it were the whole picture, so places near its edges see zeros instead of their
    neighbours, and attention stays within it: latents and frames differ from those without tiles, more with smaller tiles. A
    picture within one tile is exact.
    """

    size: int = 256
    overlap: int = 64

    def __post_init__(self):
        """Raises ValueError unless 0 <= overlap < size."""
        if not 0 <= self.overlap < self.size:
            raise ValueError(f'tiles of {self.size} pixels cannot share {self.overlap}; take 0 <= overlap < size')


def tiled(function: Callable, x, size: int, overlap: int, scale_in: int, scale_out: int):
    """function over tiles of x [B, F, H scale_in, W scale_in, C], blended: [B, F', H scale_out, W scale_out, C'] in float32.

    H, W, size and overlap count latents; one of scale_in and scale_out is 1, the other the pixels of a latent. All tiles have one
    shape: the last of a row or column begins earlier where needed.
    """
    height, width = (length // scale_in for length in x.shape[2:4])
    rows, columns = (Axis.of(length, size, overlap) for length in (height, width))
    if len(rows.starts) == len(columns.starts) == 1:
        return function(x).astype(jnp.float32)
    shape = (*x.shape[:2], rows.size * scale_in, columns.size * scale_in, x.shape[-1])
    cut = lambda row, column: lax.dynamic_slice(x, (0, 0, row * scale_in, column * scale_in, 0), shape)
    ramp = np.outer(rows.ramp(scale_out), columns.ramp(scale_out))[None, None, :, :, None]

    def add(total, start):
        y = function(cut(*start)).astype(jnp.float32) * ramp
        corner = (0, 0, start[0] * scale_out, start[1] * scale_out, 0)
        return lax.dynamic_update_slice(total, lax.dynamic_slice(total, corner, y.shape) + y, corner), None

    starts = np.array([(row, column) for row in rows.starts for column in columns.starts], np.int32)
    batch, frames, *_, channels = jax.eval_shape(function, cut(0, 0)).shape
    total = jnp.zeros((batch, frames, height * scale_out, width * scale_out, channels), jnp.float32)
    total, _ = lax.scan(add, total, jnp.asarray(starts))
    return total / np.outer(rows.weight(scale_out), columns.weight(scale_out))[None, None, :, :, None]


@dataclasses.dataclass(frozen=True)
class Axis:
    """Tiles along one axis: the axis' length, the tiles' size and overlap, and where each starts."""

    length: int
    size: int
    overlap: int
    starts: tuple[int, ...]

    @classmethod
    def of(cls, length, size, overlap):
        """Starts size - overlap apart; the last tile ends with the axis."""
        size = min(size, length)
        inner = range(0, length - size, size - overlap) if length > size else ()
        return cls(length, size, overlap, (*inner, length - size))

    def ramp(self, scale):
        """The weight of a tile's places, float32 [size scale]: 1, but falling linearly to 0 beyond each end over the overlap."""
        place, width = np.arange(self.size * scale) + 0.5, self.overlap * scale
        distance = np.minimum(place, place[::-1])
        return np.minimum(1, distance / width if width else np.ones_like(distance)).astype(np.float32)

    def weight(self, scale):
        """The sum of all tiles' ramps, float32 [length scale]."""
        total, ramp = np.zeros(self.length * scale, np.float32), self.ramp(scale)
        for start in self.starts:
            total[start * scale:start * scale + ramp.size] += ramp
        return total
