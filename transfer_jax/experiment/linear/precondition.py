"""Preconditioners of weighted linear fits: the inverse of a matrix that is above the Hessian, made of the rows' moments."""
import numpy as np
import scipy.linalg

from transfer_jax.experiment.linear.lbfgs import Precondition
from transfer_jax.experiment.linear.objective import Block
from transfer_jax.experiment.linear.rows import Moments


def total_weight(blocks: tuple[Block, ...], count: int) -> np.ndarray:
    """The sum of the rows' weights [L] in each of so many fits."""
    total = np.zeros(count)
    for block in blocks:
        total[block.lanes] += block.weights.sum(1)
    return total


def make_precondition(blocks: tuple[Block, ...], moments: list, pull: np.ndarray, curvature: float) -> Precondition:
    """The inverse of curvature sum_i w_i x_i x_i' + pull, which bounds the Hessian's shape. moments: of each block's rows.

    Blocks with the same moments are weighed by their sums, so fits that differ by rows of one domain share a matrix. Where moments are
    a mean and variances, so is the matrix a diagonal and one direction for each domain: the mean row is most of a matrix of counts.
    """
    distinct = {id(moment): moment for moment in moments}
    sums = {key: np.zeros(len(pull)) for key in distinct}
    for block, moment in zip(blocks, moments, strict=True):
        sums[id(moment)][block.lanes] += block.weights.sum(1)
    keys, of_lane = np.unique(np.column_stack([*sums.values(), pull[:, [0]]]), axis=0, return_inverse=True)
    first = [int(np.argmax(of_lane == number)) for number in range(len(keys))]
    pairs = [[(curvature * weight, moment) for weight, moment in zip(key[:-1], distinct.values(), strict=True) if weight] for key in keys]
    make = _low_rank if all(isinstance(moment, Moments) for moment in moments) else _whole
    inverses = [make(parts, pull[lane]) for parts, lane in zip(pairs, first, strict=True)]
    return lambda gradient, alive: _apply(inverses, of_lane[alive], gradient)


def _whole(parts, pull):
    """g [m, D] -> g A^-1, A = sum of weight times moments + pull; a tiny ridge where rounding made it indefinite."""
    matrix = sum(weight * _matrix(moment) for weight, moment in parts) + np.diag(pull)
    ridge = 1e-12 * np.trace(matrix) / len(matrix) * np.eye(len(matrix))
    inverse = scipy.linalg.cho_solve(scipy.linalg.cho_factor(matrix + ridge, check_finite=False), np.eye(len(matrix)), check_finite=False)
    return lambda gradient: gradient @ inverse.astype(gradient.dtype)


def _matrix(moment):
    """Second moments [D, D]; of a domain whose rows are sparse beside others that are not, the matrix that its Moments stand for."""
    return np.outer(moment.mean, moment.mean) + np.diag(moment.variance) if isinstance(moment, Moments) else moment


def _low_rank(parts, pull):
    """The same for A = diag + sum of weight mean mean', by Woodbury's identity."""
    diagonal = pull + sum(weight * moment.variance for weight, moment in parts)
    means = np.stack([np.sqrt(weight) * moment.mean for weight, moment in parts])
    scaled = means / diagonal
    inner = np.linalg.solve(np.eye(len(means)) + scaled @ means.T, scaled)

    def apply(gradient):
        left, right = scaled.astype(gradient.dtype), inner.astype(gradient.dtype)
        return gradient / diagonal.astype(gradient.dtype) - (gradient @ left.T) @ right
    return apply


def _apply(inverses, of_lane, gradient):
    out = np.empty_like(gradient)
    for number in np.unique(of_lane):
        mine = slice(None) if len(inverses) == 1 else of_lane == number
        part = gradient[:, mine]
        out[:, mine] = inverses[number](part.reshape(-1, part.shape[-1])).reshape(part.shape)
    return out
