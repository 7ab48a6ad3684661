"""Captions to token ids without a file: every word is hashed into a small vocabulary; 0 is "nothing"."""
import re
import zlib

import numpy as np


def tokenize(caption, length, vocab):
    """int32 [length] in [0, vocab): 1 + crc32(word) mod (vocab - 1) for the first `length` lower-case words, then zeros.

    The empty caption is all zeros: unconditional.
    """
    words = re.findall(r'\w+', caption.lower())[:length]
    tokens = np.zeros(length, np.int32)
    tokens[:len(words)] = [1 + zlib.crc32(word.encode()) % (vocab - 1) for word in words]
    return tokens
