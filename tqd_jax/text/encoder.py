"""What turns captions into what a model reads: the protocol of every text encoder."""
from collections.abc import Sequence
from typing import Protocol

import jax
import numpy as np
from jaxtyping import Array, Shaped


class TextEncoder(Protocol):
    """Captions are prepared on the host (words to tokens) and encoded on the devices, by a pure function of (params, prepared).

    A text encoder is hashable: two that compute the same are equal, so that programs compiled for one serve the other.
    """

    def init(self, key):
        """Fresh parameters, a tree of arrays; {} where there are none."""

    def load(self, path):
        """Parameters from a file. Raises ValueError where the encoder has none, or the file is not its own."""

    def prepare(self, captions: Sequence[str]) -> Shaped[np.ndarray, 'n ...']:
        """[N, ...] of N captions, on the host."""

    def spec(self) -> jax.ShapeDtypeStruct:
        """Shape and dtype of one prepared caption."""

    def encode(self, params, prepared: Shaped[Array, 'batch ...']) -> Shaped[Array, 'batch ...']:
        """[B, ...] of prepared captions -> [B, ...], what the model reads."""

    def empty(self, params) -> Shaped[np.ndarray | Array, '...']:
        """The prepared form of "no caption": what dropped captions become, and what guidance leads away from.

        Where captions are prepared as features, they are features too, and may lie in the parameters.
        """
