"""Fits with fewer rows than features: the optimum lies in the span of the rows, so it is found there, in as many unknowns."""
import dataclasses

import numpy as np
import scipy.sparse

from transfer_jax.experiment.linear.objective import Block
from transfer_jax.experiment.linear.rows import Rows

RANK = 1e-12  # part of the largest eigenvalue below which a direction counts as absent


@dataclasses.dataclass(frozen=True, eq=False)
class Span:
    """Fits in the span of their rows: blocks whose rows have D_small columns, and the basis [D - 1, D_small - 1] of each."""
    blocks: tuple[Block, ...]
    bases: tuple[np.ndarray, ...]

    def shrink(self, theta: np.ndarray) -> np.ndarray:
        """theta [C, L, D] -> [C, L, D_small]."""
        out = np.zeros((*theta.shape[:2], self.blocks[0].rows.shape[1]))
        for block, basis in zip(self.blocks, self.bases, strict=True):
            out[:, block.lanes, :-1] = theta[:, block.lanes, :-1] @ basis
        out[..., -1] = theta[..., -1]
        return out

    def widen(self, theta: np.ndarray) -> np.ndarray:
        """theta [C, L, D_small] -> [C, L, D]."""
        out = np.zeros((*theta.shape[:2], len(self.bases[0]) + 1))
        for block, basis in zip(self.blocks, self.bases, strict=True):
            out[:, block.lanes, :-1] = theta[:, block.lanes, :-1] @ basis.T
        out[..., -1] = theta[..., -1]
        return out


def reducible(blocks: tuple[Block, ...], start: np.ndarray) -> np.ndarray:
    """Which fits [L] learn from one block alone, of fewer rows than features (of n^2 below its entries), and are pulled to 0."""
    count, small = np.zeros(start.shape[1], int), np.zeros(start.shape[1], bool)
    for block in blocks:
        count[block.lanes] += 1
        rows, columns = block.rows.shape
        small[block.lanes] = rows < columns - 1 and rows**2 < block.rows.entries
    return (count == 1) & small & ~start[..., :-1].any((0, 2))


def make_span(blocks: tuple[Block, ...]) -> Span:
    """The Span of Blocks of which each fit has one; bases are orthonormal, so the ridge stays a ridge."""
    parts = [_basis(block.rows) for block in blocks]
    width = max(basis.shape[1] for _, basis in parts)
    pad = lambda x: np.pad(x, ((0, 0), (0, width - x.shape[1])))
    ones = lambda x: np.concatenate([x, np.ones((len(x), 1))], 1)
    small = [dataclasses.replace(block, rows=Rows(ones(pad(features @ basis)).astype(block.rows.x.dtype)))
             for block, (features, basis) in zip(blocks, parts, strict=True)]
    return Span(tuple(small), tuple(pad(basis) for _, basis in parts))


def _basis(rows):
    """(features [n, D - 1], an orthonormal basis [D - 1, r] of their span)."""
    features = rows.x
    if scipy.sparse.issparse(features):
        features = features.toarray() - rows.mean
    features = features[:, :-1].astype(np.float64)
    values, vectors = np.linalg.eigh(features @ features.T)
    keep = values > RANK * max(values[-1], 1e-300)
    return features, features.T @ (vectors[:, keep] / np.sqrt(values[keep]))
