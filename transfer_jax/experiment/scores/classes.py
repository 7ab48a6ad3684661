"""Scores of predicted classes: each a function of an Answers; None where it has no value."""
import dataclasses
import functools

import numpy as np

from transfer_jax.experiment.scores.calibration import Bins, bins_of
from transfer_jax.experiment.scores.ranking import Ranking, rank


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answers:
    """Log-probabilities [m, C] of m >= 1 rows, float64, and their labels [m]. positive: the class that two classes are scored by."""
    log_p: np.ndarray
    labels: np.ndarray
    positive: int

    @functools.cached_property
    def right(self) -> np.ndarray:
        """bool [m]: whether the most probable class is the label."""
        return self.log_p.argmax(1) == self.labels

    @functools.cached_property
    def counts(self) -> np.ndarray:
        """Rows of each class [C]."""
        return np.bincount(self.labels, minlength=self.log_p.shape[1])

    @functools.cached_property
    def ranking(self) -> Ranking:
        """By the odds of the positive class where there are two; else a column for each class, by its probability."""
        hits = self.labels[:, None] == np.arange(len(self.counts))
        if len(self.counts) > 2:
            return rank(self.log_p, hits)
        own = slice(self.positive, self.positive + 1)
        return rank(self.log_p[:, own] - self.log_p[:, 1 - self.positive, None], hits[:, own])

    @functools.cached_property
    def bins(self) -> Bins:
        """Of two classes: the probability of the positive one, and whether it is the label. Else: that of the most probable class, and
        whether it is right."""
        if len(self.counts) == 2:
            return bins_of(np.exp(self.log_p[:, self.positive]), self.labels == self.positive)
        return bins_of(np.exp(self.log_p.max(1)), self.right)


def answers(outputs: np.ndarray, labels: np.ndarray, positive: int) -> Answers:
    """The Answers of logits [m, C], or log-probabilities."""
    outputs = np.asarray(outputs, np.float64)
    shifted = outputs - outputs.max(1, keepdims=True)
    return Answers(log_p=shifted - np.log(np.sum(np.exp(shifted), 1, keepdims=True)), labels=np.asarray(labels), positive=positive)


def rarer(labels: np.ndarray, classes: int) -> int:
    """The class by which two are scored: the rarer one of labels [n], the last where both are as frequent."""
    counts = np.bincount(labels, minlength=classes)
    return int(len(counts) - 1 - np.argmin(counts[::-1]))


def accuracy(of: Answers) -> float:
    """The share of rows whose most probable class is the label."""
    return float(np.mean(of.right))


def balanced_accuracy(of: Answers) -> float:
    """The mean over classes that the rows have of the share of their rows that are right."""
    there = of.counts > 0
    return float(np.mean(np.bincount(of.labels, of.right, minlength=len(there))[there] / of.counts[there]))


def log_loss(of: Answers) -> float:
    """The mean of -log p of the label."""
    return float(-of.log_p[np.arange(len(of.labels)), of.labels].mean())


def brier(of: Answers) -> float:
    """The mean of (p - 1)^2 of the positive class (of two), or of the sum over classes of squared errors of p."""
    error = np.exp(of.log_p)
    error[np.arange(len(error)), of.labels] -= 1
    return float(np.mean(np.sum(error**2, 1)) / (2 if error.shape[1] == 2 else 1))


def ece(of: Answers) -> float:
    """The expected calibration error of Answers.bins."""
    return of.bins.error()


def auc(of: Answers) -> float | None:
    """The area under the ROC curve: of the positive class, or the mean over classes against the rest, of those that the rows have."""
    return _mean(of.ranking.auc())


def average_precision(of: Answers) -> float | None:
    """The average precision: of the positive class, or the mean over classes against the rest, of those that the rows have."""
    return _mean(of.ranking.average_precision())


def _mean(values):
    """Of those that are not NaN; None where there is none."""
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else None
