"""Folds: fits that each leave out a part of the target's training rows; they measure noise and shortfall."""
import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from transfer_jax import evidence
from transfer_jax.evidence import LESS, ONE_WEIGHT
from transfer_jax.experiment.lab.measure import NO_SOURCES, SHORTFALLS
from transfer_jax.experiment.training.fit import Fit
from transfer_jax.experiment.training.policy import Policy

GLOBAL_WEIGHTS = (0.0, *ONE_WEIGHT)  # of a sample of every source, for which there are fits on the folds


@dataclasses.dataclass(frozen=True, eq=False)
class Folds:
    """The F fits of every seed of a Lab, each without one fold. fold [S, N0]: the fold of every training row of the target."""
    lab: Any  # the Lab, whose module imports this one
    fold: np.ndarray

    @property
    def count(self) -> int:
        """F."""
        return self.fold.max() + 1

    @functools.cached_property
    def rows(self) -> list[list[np.ndarray]]:
        """[S][F] arrays: the training rows outside each fold."""
        return [[rows[fold != number] for number in range(self.count)] for rows, fold in zip(self.lab.train, self.fold, strict=True)]

    def fit(self, name: str, weights: Any) -> Fit:
        """The Fit [S F] to the target without a fold, and to the sources at weights [S, K]."""
        policy, rows = self.policy(weights)
        return self.lab.fit(name, policy, rows=rows)

    def policy(self, weights: Any) -> tuple[Policy, np.ndarray]:
        """(Policy [S F, D], rows of the target [S F, R] that may be drawn) of the fits without a fold, the sources at weights [S, K]."""
        return self.without(self.lab.policy(weights))

    def without(self, policy: Policy) -> tuple[Policy, np.ndarray]:
        """The same of a policy [S, D]."""
        rows = [row for of_seed in self.rows for row in of_seed]
        fit_rows = np.stack([np.pad(row, (0, self.lab.target_size - len(row)), mode='edge') for row in rows])
        policy = jax.tree.map(lambda x: jnp.repeat(x, self.count, 0), policy)
        counts = jnp.asarray([len(row) for row in rows], jnp.float32)
        return policy.replace(quantities=policy.quantities.at[:, self.lab.target].set(counts)), fit_rows

    def fit_alone(self) -> Fit:
        """The Fit without sources."""
        return self.lab.once('folds', lambda: self.fit('folds', 0))

    def fit_global(self) -> dict[float, Fit]:
        """{weight: Fit}: all sources at one weight, for each of GLOBAL_WEIGHTS."""
        one = lambda weight: self.lab.once(f'global_{weight:g}', lambda: self.fit(f'global_{weight:g}', weight))
        return {weight: one(weight) if weight else self.fit_alone() for weight in GLOBAL_WEIGHTS}

    def fit_trials(self) -> dict[float, Fit]:
        """{tau: Fit}: the sources at tau times the weights of G, tau of SHORTFALLS and LESS."""
        return {tau: self.lab.once(f'trial_x{tau:g}', functools.partial(self._fit_trial, tau)) for tau in (LESS, *SHORTFALLS)}

    def _fit_trial(self, tau):
        measurement = self.lab.measure_middle().replace(shortfall=jnp.full(len(self.fold), tau))
        return self.fit(f'trial_x{tau:g}', measurement.weights().weights)

    def measure_shortfall(self) -> jax.Array:
        """tau [S]: NO_SOURCES or 1, whichever has the smaller loss on folds, unless a larger one of SHORTFALLS is clearly better."""
        trials = self.fit_trials()
        fits = {1.0: trials[1.0], NO_SOURCES: self.fit_alone(), **{tau: trials[tau] for tau in SHORTFALLS if tau > 1}}
        return jnp.asarray(np.array(list(fits), np.float32)[self.best(list(fits.values()), 2)])

    def best(self, fits: Sequence[Fit], safe: int) -> np.ndarray:
        """The number [S] of the best of T Fits [S F], as evidence.best has it."""
        plain, calibrated = self.candidate_losses(fits)
        return evidence.best(plain, plain if calibrated is None else calibrated, safe)

    def candidate_losses(self, fits: Sequence[Fit]) -> tuple[np.ndarray, np.ndarray | None]:
        """Losses of the rows that T Fits [S F] left out [T, S, N0]: plain, and by evidence.calibrated_losses (regression: None)."""
        outputs, labels = np.stack([self.held_out(fit.params) for fit in fits]), self.lab.labels[self.lab.train]
        plain = np.stack([self.lab.losses(one, labels) for one in outputs])
        return plain, evidence.calibrated_losses(outputs, labels) if self.lab.classes else None

    def loss(self, fold_fits: Fit) -> np.ndarray:
        """Mean loss [S] of a Fit [S F] on the target's training rows, each row by the replica that left it out."""
        return self.loss_of(fold_fits.params)

    def loss_of(self, params: Any) -> np.ndarray:
        """The same of parameters [S F, ...]."""
        return self.row_losses(params).mean(1)

    def row_losses(self, params: Any) -> np.ndarray:
        """Loss [S, N0] of each training row of the target, by the parameters [S F, ...] of the replica that left it out."""
        return self.lab.losses(self.held_out(params), self.lab.labels[self.lab.train])

    def held_out(self, params: Any) -> np.ndarray:
        """Outputs [S, N0, C] for each training row of the target, by the parameters [S F, ...] of the replica that left it out."""
        outputs = self.lab.train_outputs(self.lab.by_seed(params))
        return np.take_along_axis(outputs, self.fold[:, None, :, None], 1)[:, 0]


def assign(labels: np.ndarray, max_folds: int, stratified: bool) -> np.ndarray | None:
    """The fold of every row [S, N0], evenly within every class, of labels [S, N0] (regression: [S, N0, T], not stratified).

    There are max_folds folds, or as many as the rarest class has rows; None where that is fewer than two.
    """
    count = min(max_folds, min(np.unique(row, return_counts=True)[1].min() for row in labels) if stratified else labels.shape[1])
    return None if count < 2 else np.stack([_number_in_class(row) if stratified else np.arange(len(row)) for row in labels]) % count


def _number_in_class(labels):
    """The number of rows of the same class before every row [n]."""
    number = np.zeros(len(labels), int)
    for label in np.unique(labels):
        number[labels == label] = np.arange(np.count_nonzero(labels == label))
    return number
