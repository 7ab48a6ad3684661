"""The objective of L linear fits side by side: weighted log-likelihoods of an exponential family, and a pull to the start.

Fit l minimises  sum_i w_li (A(theta x_i) - theta T(y_i) . x_i) + 1/2 sum_d pull_ld |theta_d - start_d|^2,  with A = log sum exp for
classes (T: one-hot), A = log(1 + exp z) for two of them with one logit (LOGIT, T = y) and A = z^2 / 2 for a regression (T = y). Arrays
of parameters are [C, L, D], rows last: every sum over classes is then a sum of contiguous rows.
"""
import dataclasses

import numpy as np

from transfer_jax.experiment.linear.rows import Rows, stacked

LOGIT = 1  # in place of a number of classes: two, by one vector


@dataclasses.dataclass(frozen=True, eq=False)
class Block:
    """Rows with labels [n] (numbers of classes, or values) that some fits learn from: weights [A, n] of the rows in fits `lanes` [A]."""
    rows: Rows
    labels: np.ndarray
    lanes: np.ndarray
    weights: np.ndarray

    def astype(self, dtype: type) -> 'Block':
        """The Block with weights in the precision of the rows."""
        return dataclasses.replace(self, weights=self.weights.astype(dtype))

    def take(self, keep: np.ndarray, number: np.ndarray) -> 'Block':
        """The Block for the fits of mask `keep` [L] only, which get the numbers `number` [L]."""
        mine = keep[self.lanes]
        return dataclasses.replace(self, lanes=number[self.lanes[mine]], weights=self.weights[mine])


@dataclasses.dataclass(frozen=True, eq=False)
class Objective:
    """The L fits to these Blocks. classes: C, LOGIT, or None for a regression; pull [L, D]; start, moment [C, L, D]: sum w T(y) x."""
    blocks: tuple[Block, ...]
    classes: int | None
    pull: np.ndarray
    start: np.ndarray
    moment: np.ndarray

    def __call__(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(value [L], gradient [C, L, D]) at theta [C, L, D]."""
        away = theta - self.start
        gradient = self.pull * away
        value = np.einsum('cld,cld->l', gradient, away) / 2 - np.einsum('cld,cld->l', self.moment, theta)
        gradient -= self.moment
        for block in self.blocks:
            if len(block.lanes):
                cumulant, mean = cumulant_and_mean(block.rows.product(theta[:, block.lanes]), self.classes)
                value[block.lanes] += np.einsum('an,an->a', block.weights, cumulant)
                mean *= block.weights
                gradient[:, block.lanes] += block.rows.transposed(mean)
        return value, gradient

    def take(self, keep: np.ndarray) -> 'Objective':
        """The Objective of the fits of mask `keep` [L]."""
        number = np.cumsum(keep) - 1
        return Objective(tuple(block.take(keep, number) for block in self.blocks), self.classes, self.pull[keep], self.start[:, keep],
                         self.moment[:, keep])


def make_objective(blocks: tuple[Block, ...], classes: int | None, pull: np.ndarray, start: np.ndarray) -> Objective:
    """The Objective of Blocks, with pull [L, D] to start [C, L, D]."""
    moment = np.zeros_like(start)
    for block in blocks:
        target = block.labels[None] if classes in (None, LOGIT) else block.labels[None] == np.arange(classes)[:, None]
        moment[:, block.lanes] += block.rows.transposed(target[:, None] * block.weights)
    return Objective(tuple(blocks), classes, pull, start, moment)


def merged(blocks: tuple[Block, ...], count: int) -> tuple[Block, ...]:
    """Blocks of the same `count` fits: sparse ones become one, with weights of 0 where a fit has not a block's rows; others stay.

    A product with a few rows and fits costs as much as one with many, so less than twice the numbers to read are cheaper in one piece.
    """
    sparse = [block for block in blocks if block.rows.sparse]
    needed = sum(len(block.lanes) * block.rows.entries for block in sparse)
    if len(sparse) < 2 or count * sum(block.rows.entries for block in sparse) > 2 * needed:
        return blocks
    weights = [np.zeros((count, block.rows.shape[0]), block.weights.dtype) for block in sparse]
    for whole, block in zip(weights, sparse, strict=True):
        whole[block.lanes] = block.weights
    one = Block(stacked([block.rows for block in sparse]), np.concatenate([block.labels for block in sparse]), np.arange(count),
                np.concatenate(weights, 1))
    return one, *(block for block in blocks if not block.rows.sparse)


def cumulant_and_mean(z: np.ndarray, classes: int | None) -> tuple[np.ndarray, np.ndarray]:
    """(A(z) [L, n], its derivative [C, L, n]) of z [C, L, n], which it may overwrite."""
    if classes is None:
        return z[0] ** 2 / 2, z
    if classes == LOGIT:
        tail = np.exp(-np.abs(z))
        value, below = np.maximum(z[0], 0) + np.log1p(tail[0]), z < 0
        mean = 1 / (1 + tail)
        return value, np.where(below, tail * mean, mean)
    largest = z.max(0)
    z -= largest
    np.exp(z, out=z)
    total = z.sum(0)
    z /= total
    return largest + np.log(total), z
