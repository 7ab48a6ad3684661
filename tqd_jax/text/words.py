"""Captions to token ids without a file: every word is hashed into a small vocabulary; 0 is "nothing"."""
import dataclasses
import re
import unicodedata
import zlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int32, Int64

# scripts that put no space between words: Han, kana, Thai, Lao, Tibetan, Burmese, Khmer
SPACELESS = '\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d\U00020000-\U0003134f' \
            '\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ebd\u0ec0-\u0ece\u0f40-\u0fbc\u1000-\u103f\u1780-\u17d3'
MARKS = '\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u064b-\u065f\u0900-\u0963\u0966-\u0dff'  # within words, though no letters by themselves
WORD = re.compile(f'[{SPACELESS}]|(?:(?![{SPACELESS}])[\\w{MARKS}])+')


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

    def counts(self, captions: Sequence[str]) -> Int64[np.ndarray, ' n']:
        """How many tokens each caption has, those beyond `length` too."""
        return np.array([len(words_of(str(caption))) for caption in captions], np.int64)

    def spec(self) -> jax.ShapeDtypeStruct:
        """int32 [length]."""
        return jax.ShapeDtypeStruct((self.length,), jnp.int32)

    def encode(self, params, prepared: Int32[Array, 'batch {self.length}']) -> Int32[Array, 'batch {self.length}']:
        """The tokens as they are."""
        return prepared

    def empty(self, params) -> Int32[np.ndarray, ' {self.length}']:
        """All tokens 0."""
        return np.zeros(self.length, np.int32)


def words_of(caption: str) -> list[str]:
    """The words of a caption in lower case; of a script without spaces between words, its letters."""
    return WORD.findall(caption.lower() if caption.isascii() else unicodedata.normalize('NFC', caption).lower())


def tokenize(caption: str, length: int, vocab: int) -> Int32[np.ndarray, ' {length}']:
    """int32 [length] in [0, vocab): 1 + crc32(word) mod (vocab - 1) for the first `length` words of words_of, then zeros.

    The empty caption is all zeros: unconditional.
    """
    words = words_of(caption)[:length]
    tokens = np.zeros(length, np.int32)
    tokens[:len(words)] = [1 + zlib.crc32(word.encode()) % (vocab - 1) for word in words]
    return tokens
