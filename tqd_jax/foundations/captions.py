"""Captions of a library whose features are in a cache."""
import numpy as np


class NoTokens:
    """In place of a TextEncoder while a library is loaded whose captions are numbered afterwards."""

    def prepare(self, captions):
        """Zeros [N]."""
        return np.zeros(len(captions), np.int32)
