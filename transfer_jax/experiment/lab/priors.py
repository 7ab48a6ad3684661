"""Paths of priors: fits on folds from the strongest prior to the weakest, and the one that is chosen."""
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from transfer_jax.experiment.training.policy import Policy

RISE = 0.02  # part by which a loss on folds rises above its smallest before weaker priors are not tried


def solve_path(lab: Any, policy: Policy, rows: np.ndarray) -> dict[str, Any]:
    """{losses [P, S], place [S] of the chosen prior, seconds} of an ExactLab's fits on folds (Folds.policy).

    From strong to weak, each seed until its loss has risen by RISE: the weaker priors then have an infinite loss.
    The chosen prior is the strongest whose loss is within one standard error, over rows, of the smallest: the loss on folds falls on
    towards priors that are too weak for accuracy, and few rows measure it.
    """
    began, theta, seeds = time.perf_counter(), None, np.arange(len(lab.splits))
    of_rows = np.full((len(lab.priors), len(seeds), lab.target_size), np.inf)
    going = np.ones(len(seeds), bool)
    for number, prior in enumerate(lab.priors):
        fits = np.repeat(going, lab.folds.count)
        part = lab.equations.solve(policy, np.full(len(rows), prior), rows=rows, warm=theta, loose=True, only=fits).theta
        theta = part if theta is None else np.where(fits[:, None], part, theta)
        of_rows[number, going] = lab.folds.row_losses(lab.equations.to_params(theta))[going]
        going &= of_rows[number].mean(1) <= (1 + RISE) * of_rows[: number + 1].mean(2).min(0)
        if not going.any():
            break
    losses = of_rows.mean(2)
    smallest = of_rows[losses.argmin(0), seeds]
    place = np.argmax(losses <= smallest.mean(1) + smallest.std(1, ddof=1) / np.sqrt(lab.target_size), 0)
    return {'losses': losses.tolist(), 'place': place.tolist(), 'seconds': time.perf_counter() - began}


def nearest(values: np.ndarray, grid: Sequence[float]) -> np.ndarray:
    """The number [L] of the entry of an increasing grid, whose first is 0, that is nearest to each value by ratio; 0 for 0 alone."""
    positive = np.log(np.asarray(grid[1:]))
    number = 1 + np.argmin(np.abs(np.log(np.maximum(values, 1e-12))[:, None] - positive), 1)
    return np.where(values > 0, number, 0)
