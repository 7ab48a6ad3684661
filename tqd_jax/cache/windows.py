"""Which windows of a clip are encoded, and which of them a draw reads: the same places for the encoder and for the reader."""
import numpy as np
from jaxtyping import Float64, UInt64

from tqd_jax.data.streams import hashed_uniform

SALT = 0x6C6174  # apart from the numbers of epochs


def places(ids: UInt64[np.ndarray, ' n'], windows: int, crop: str) -> Float64[np.ndarray, 'n windows 3']:
    """Where window w of W starts, of the room that a clip has in time, x and y: [0, 1].

    In time w / (W - 1), and 1/2 where W is 1. In x and y 1/2 where crop is 'center'; where it is 'random', uniform in [0, 1), a hash of
    the clip's content id and w.
    """
    if crop not in ('center', 'random'):
        raise ValueError(f'crop is center or random, not {crop!r}')
    out = np.full((len(ids), windows, 3), 0.5)
    if windows > 1:
        out[:, :, 0] = np.arange(windows) / (windows - 1)
    if crop == 'random':
        for window in range(windows):
            for axis in (1, 2):
                out[:, window, axis] = hashed_uniform(window, SALT + axis, ids)
    return out


def window_of(place: float, windows: int) -> int:
    """The window that a place in [0, 1] of the room in time falls to: each of them for an equal part."""
    return min(int(place * windows), windows - 1)
