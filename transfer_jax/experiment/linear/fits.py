"""fit_linear: L weighted generalised linear models with a ridge, solved to their optimum; equal to scikit-learn's estimators."""
import dataclasses
import functools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import threadpoolctl

from transfer_jax.experiment.linear.lbfgs import Minimum, Precondition, minimise
from transfer_jax.experiment.linear.objective import LOGIT, Block, Objective, make_objective, merged
from transfer_jax.experiment.linear.precondition import make_precondition, total_weight
from transfer_jax.experiment.linear.reduced import make_span, reducible
from transfer_jax.runtime.parallel.cores import cores

BIAS = 1e-8  # pull of the bias, in parts of a fit's weight: the bias is free, and a class without rows has a finite one
TIGHT, LOOSE = 3e-6, 1e-2  # tolerances: parameters are scikit-learn's to 1e-4; the loss on other rows is all that counts
MAX_ITERATIONS = 2000
AT_ONCE = 2_000_000  # outputs of one chunk of fits: they stay in a core's cache
READ_AT_ONCE = 40_000_000  # numbers that one product of a chunk reads, where rows are sparse: SciPy's products hold Python's lock


def fit_linear(blocks: tuple[Block, ...], classes: int | None, prior: np.ndarray, start: np.ndarray, warm: np.ndarray | None = None, *,
               moments: list | None = None, tolerance: float = TIGHT) -> Minimum:
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
    with _libraries().limit(limits=1, user_api='blas'):  # threads of chunks and threads of BLAS would wait for each other
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


@functools.cache
def _libraries():
    """The process's libraries, looked up once: to look takes milliseconds, as long as a small fit."""
    return threadpoolctl.ThreadpoolController()


def _fit_in_span(blocks, moments, classes, prior, start, warm, tolerance):
    span = make_span(blocks)
    first = None if warm is None else span.shrink(warm)
    small = _fit(span.blocks, [None] * len(blocks), classes, prior, span.shrink(start), first, tolerance)
    return dataclasses.replace(small, theta=span.widen(small.theta))


def _fit(blocks, moments, classes, prior, start, warm, tolerance):
    pull = np.repeat(np.asarray(prior, np.float64)[:, None], start.shape[-1], 1)
    pull[:, -1] = BIAS / (2 if classes == LOGIT else 1) * total_weight(blocks, len(pull))
    moments = [block.rows.moments() if moment is None else moment for block, moment in zip(blocks, moments, strict=True)]
    curvature = {None: 1.0, LOGIT: 0.25}.get(classes) or (classes - 1) / classes**2
    precondition = make_precondition(blocks, moments, pull, curvature)
    dtype = blocks[0].rows.x.dtype
    same = merged(tuple(block.astype(dtype) for block in blocks), len(pull))
    objective = make_objective(same, classes, pull.astype(dtype), start.astype(dtype))
    return _in_chunks(objective, (start if warm is None else warm).astype(dtype), precondition, tolerance)


def _in_chunks(objective: Objective, first: np.ndarray, precondition: Precondition, tolerance: float) -> Minimum:
    """The Minimum of chunks of fits, which threads solve. The chunks do not depend on the machine, so nor do the results."""
    count = first.shape[1]
    outputs = len(first) * sum(len(block.lanes) * block.rows.shape[0] for block in objective.blocks)
    reads = len(first) * sum(len(block.lanes) * block.rows.entries for block in objective.blocks if block.rows.sparse)
    chunks = np.array_split(np.arange(count), min(count, max(1, -(-outputs // AT_ONCE), -(-reads // READ_AT_ONCE))))

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
