"""fit_linear: L weighted generalised linear models with a ridge, solved to their optimum; equal to scikit-learn's estimators."""
import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import scipy.linalg
import threadpoolctl

from transfer_jax.experiment.linear.lbfgs import Minimum, Precondition, minimise
from transfer_jax.experiment.linear.objective import LOGIT, Block, Objective, make_objective
from transfer_jax.experiment.linear.reduced import make_span, reducible
from transfer_jax.runtime.parallel.cores import cores

BIAS = 1e-8  # pull of the bias, in parts of a fit's weight: the bias is free, and a class without rows has a finite one
TIGHT, LOOSE = 3e-6, 1e-2  # tolerances: parameters are scikit-learn's to 1e-4; the loss on other rows is all that counts
MAX_ITERATIONS = 2000
AT_ONCE = 2_000_000  # outputs of one chunk of fits: they stay in a core's cache


def fit_linear(blocks: tuple[Block, ...], classes: int | None, prior: np.ndarray, start: np.ndarray, warm: np.ndarray | None = None, *,
               moments: list[np.ndarray] | None = None, tolerance: float = TIGHT) -> Minimum:
    """The Minimum theta [C, L, D] of L fits, D the features and the bias (C = 1 for a regression, classes None).

    Fit l minimises sum_i w_li loss_i + prior_l / 2 |theta - start|^2 without the bias in the norm: scikit-learn's LogisticRegression with
    C = 1 / prior (two classes: 2 / prior, as it has one vector where a softmax has two), or Ridge with alpha = prior. Biases of classes
    sum to 0. blocks: rows and their weights; start [C, L, D] is the pull's, and the first guess where warm is None. moments: of each
    block's rows (Rows.moments), or of rows like them: they make the preconditioner, and change no result. All is computed in the rows'
    precision: float32 is enough for a loose tolerance.
    """
    moments = [None] * len(blocks) if moments is None else moments
    if classes == 2:  # two vectors move by opposite amounts: one logit has half the cost
        between = lambda theta: None if theta is None else theta[1:] - theta[:1]
        part = fit_linear(blocks, LOGIT, prior / 2, between(start), between(warm), moments=moments, tolerance=tolerance)
        half = (part.theta - between(start)) / 2
        theta = start + np.concatenate([-half, half])
        theta[..., -1] -= theta[..., -1].mean(0)
        return dataclasses.replace(part, theta=theta)
    few = reducible(blocks, start)
    with threadpoolctl.threadpool_limits(1, 'blas'):  # threads of chunks and threads of BLAS would wait for each other
        if not few.any():
            return _fit(blocks, moments, classes, prior, start, warm, tolerance)
        result = Minimum(np.empty(start.shape), np.zeros(len(few), int), np.zeros(len(few), bool))
        for mask, one in ((few, _fit_in_span), (~few, _fit)):
            number = np.cumsum(mask) - 1
            pairs = [(block.take(mask, number), moment) for block, moment in zip(blocks, moments, strict=True) if mask[block.lanes].any()]
            if pairs:
                first = None if warm is None else warm[:, mask]
                part = one(*zip(*pairs, strict=True), classes, prior[mask], start[:, mask], first, tolerance)
                result.theta[:, mask], result.iterations[mask], result.converged[mask] = part.theta, part.iterations, part.converged
        return result


def _fit_in_span(blocks, moments, classes, prior, start, warm, tolerance):
    span = make_span(blocks)
    first = None if warm is None else span.shrink(warm)
    small = _fit(span.blocks, [None] * len(blocks), classes, prior, span.shrink(start), first, tolerance)
    return dataclasses.replace(small, theta=span.widen(small.theta))


def _fit(blocks, moments, classes, prior, start, warm, tolerance):
    pull = np.repeat(np.asarray(prior, np.float64)[:, None], start.shape[-1], 1)
    pull[:, -1] = BIAS / (2 if classes == LOGIT else 1) * total_weight(blocks, len(pull))
    moments = [block.rows.moments() if moment is None else moment for block, moment in zip(blocks, moments, strict=True)]
    if moments[0].ndim == 1 and tolerance == TIGHT:  # a step says less of the distance that is left
        tolerance /= 10
    precondition = make_precondition(blocks, moments, pull, 1.0 if classes is None else 0.25 if classes == LOGIT else (classes - 1) / classes**2)
    dtype = blocks[0].rows.x.dtype
    objective = make_objective(tuple(block.astype(dtype) for block in blocks), classes, pull.astype(dtype), start.astype(dtype))
    return _in_chunks(objective, (start if warm is None else warm).astype(dtype), precondition, tolerance)


def _in_chunks(objective: Objective, first: np.ndarray, precondition: Precondition, tolerance: float) -> Minimum:
    """The Minimum of chunks of fits, which threads solve. The chunks do not depend on the machine, so nor do the results."""
    count = first.shape[1]
    outputs = len(first) * sum(len(block.lanes) * block.rows.shape[0] for block in objective.blocks)
    chunks = np.array_split(np.arange(count), min(count, max(1, -(-outputs // AT_ONCE))))

    def solve(lanes):
        mine = objective.take(np.isin(np.arange(count), lanes))
        return minimise(mine, first[:, lanes], lambda gradient, alive: precondition(gradient, lanes[alive]), tolerance=tolerance,
                        max_iterations=MAX_ITERATIONS)
    with ThreadPoolExecutor(cores()) as pool:
        parts = list(pool.map(solve, chunks))
    theta = np.concatenate([part.theta for part in parts], 1)
    if len(theta) > 1:  # to all biases alike one number may be added
        theta[..., -1] -= theta[..., -1].mean(0)
    return Minimum(theta, *(np.concatenate([getattr(part, name) for part in parts])
                            for name in ('iterations', 'converged')))


def total_weight(blocks: tuple[Block, ...], count: int) -> np.ndarray:
    """The sum of the rows' weights [L] in each of so many fits."""
    total = np.zeros(count)
    for block in blocks:
        total[block.lanes] += block.weights.sum(1)
    return total


def make_precondition(blocks: tuple[Block, ...], moments: list[np.ndarray], pull: np.ndarray, curvature: float) -> Precondition:
    """The inverse of curvature sum_i w_i x_i x_i' + pull, which bounds the Hessian's shape; of its diagonal where there are many columns.

    Blocks with the same array of moments are weighed by their sums, so fits that differ by rows of one domain share a matrix.
    """
    distinct = {id(moment): moment for moment in moments}
    sums = {key: np.zeros(len(pull)) for key in distinct}
    for block, moment in zip(blocks, moments, strict=True):
        sums[id(moment)][block.lanes] += block.weights.sum(1)
    keys, of_lane = np.unique(np.column_stack([*sums.values(), pull[:, [0]]]), axis=0, return_inverse=True)
    matrices = [curvature * sum(weight * moment for weight, moment in zip(key[:-1], distinct.values(), strict=True) if weight)
                for key in keys]
    first = [int(np.argmax(of_lane == number)) for number in range(len(keys))]
    if next(iter(distinct.values())).ndim == 1:
        diagonals = np.stack([matrix + pull[lane] for matrix, lane in zip(matrices, first, strict=True)])
        return lambda gradient, alive: gradient / diagonals[of_lane[alive]].astype(gradient.dtype)
    inverses = [_invert(matrix + np.diag(pull[lane])) for matrix, lane in zip(matrices, first, strict=True)]
    return lambda gradient, alive: _apply(inverses, of_lane[alive], gradient)


def _invert(matrix):
    """The inverse of a positive definite matrix; a tiny ridge where rounding made it indefinite."""
    ridge = 1e-12 * np.trace(matrix) / len(matrix) * np.eye(len(matrix))
    return scipy.linalg.cho_solve(scipy.linalg.cho_factor(matrix + ridge, check_finite=False), np.eye(len(matrix)), check_finite=False)


def _apply(inverses, of_lane, gradient):
    if len(inverses) == 1:
        return (gradient.reshape(-1, gradient.shape[-1]) @ inverses[0].astype(gradient.dtype)).reshape(gradient.shape)
    out = np.empty_like(gradient)
    for number in np.unique(of_lane):
        mine = of_lane == number
        part = gradient[:, mine]
        out[:, mine] = (part.reshape(-1, part.shape[-1]) @ inverses[number].astype(part.dtype)).reshape(part.shape)
    return out
