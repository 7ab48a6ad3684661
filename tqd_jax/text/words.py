"""Captions to token ids without a file: every word is hashed into a small vocabulary; 0 is "nothing"."""
import dataclasses
import re
import zlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int32


@dataclasses.dataclass(frozen=True, kw_only=True)
class HashedWords:
    """Text encoder without parameters: the model holds the table of tokens.

    length: tokens of a caption. vocab: number of tokens, at least 2.
    """
    length: int
    vocab: int

    def init(self, key):
        """No parameters."""
        return {}

    def load(self, path):
        """Raises ValueError: there is nothing to load."""
        raise ValueError(f'hashed words have no parameters, so {path} cannot be their file')

    def prepare(self, captions: Sequence[str]) -> Int32[np.ndarray, 'n {self.length}']:
        """int32 [N, length] in [0, vocab): see tokenize."""
        tokens = np.zeros((len(captions), self.length), np.int32)
        for row, caption in zip(tokens, captions, strict=True):
            row[:] = tokenize(str(caption), self.length, self.vocab)
        return tokens

    def spec(self) -> jax.ShapeDtypeStruct:
        """int32 [length]."""
        return jax.ShapeDtypeStruct((self.length,), jnp.int32)

    def encode(self, params, prepared: Int32[Array, 'batch {self.length}']) -> Int32[Array, 'batch {self.length}']:
        """The tokens as they are."""
        return prepared

    def empty(self, params) -> Int32[np.ndarray, ' {self.length}']:
        """All tokens 0."""
        return np.zeros(self.length, np.int32)


def tokenize(caption: str, length: int, vocab: int) -> Int32[np.ndarray, ' {length}']:
    """int32 [length] in [0, vocab): 1 + crc32(word) mod (vocab - 1) for the first `length` lower-case words, then zeros.

    The empty caption is all zeros: unconditional.
    """
    words = re.findall(r'\w+', caption.lower())[:length]
    tokens = np.zeros(length, np.int32)
    tokens[:len(words)] = [1 + zlib.crc32(word.encode()) % (vocab - 1) for word in words]
    return tokens
