"""Evaluation of a model on any number of rows with one compiled program."""
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

BLOCK = 256  # rows at once


def in_blocks(run: Callable[[jax.Array], jax.Array], inputs: np.ndarray, axis: int = 0) -> np.ndarray:
    """run(inputs) of inputs [n, ...], BLOCK rows at once, joined along the axis of rows in what run returns.

    The last block repeats its last row up to BLOCK rows, so that one program serves all.
    """
    parts = []
    for first in range(0, len(inputs), BLOCK):
        block = np.asarray(inputs[first:first + BLOCK])
        parts.append(np.asarray(run(jnp.asarray(np.concatenate([block, np.repeat(block[-1:], BLOCK - len(block), 0)])))))
    return np.take(np.concatenate(parts, axis), np.arange(len(inputs)), axis)
