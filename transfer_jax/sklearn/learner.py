"""What a learner does: fits, and what they say about the target's rows; the loss of a row that a fit has not seen."""
import dataclasses
from typing import Any, Protocol

import numpy as np
import scipy.special

from transfer_jax.sklearn.data import Data

CLIP = 1e-4  # of probabilities in a loss: a forest of few labels is sure of what it does not know


@dataclasses.dataclass(frozen=True, eq=False)
class Outputs:
    """What fits say about the N0 rows of the target; C outputs, one for a regression.

    target [N0, C]: the fit to the target alone; folds [F, N0, C]: without a fold; sources [K, N0, C]: to each source alone; halves
    [K, 2, N0, C]: to each half of it. metrics [1 + F, N0, C]: probabilities of `middle`, of all rows and without each fold, where
    outputs are logits; None where distances of outputs are Euclid's.
    """
    target: np.ndarray
    folds: np.ndarray
    sources: np.ndarray
    halves: np.ndarray
    metrics: np.ndarray | None


class Learner(Protocol):
    """How the two kinds of fits, exact linear ones and an estimator's, are used."""

    def outputs(self, data: Data) -> Outputs:
        """The Outputs of the fits that G is measured from."""

    def trials(self, data: Data, weights: np.ndarray) -> np.ndarray:
        """Outputs [T, N0, C] for the target's rows, each of the fit without its fold, at the sources' weights [T, F, K].

        Of classes whose softmax is a probability, logits or logarithms of probabilities; NaN for rows that are in no fold.
        """

    def fit(self, data: Data, weights: np.ndarray) -> Any:
        """The fit to the target and to the sources at weights [K]."""


def loss_of(data: Data, outputs: np.ndarray) -> np.ndarray:
    """The log-loss, -log CLIP at most, or the squared error [..., N0] of the target's rows, of outputs [..., N0, C] of Learner.trials."""
    if data.classes is None:
        return (outputs[..., 0] - data.y[0]) ** 2
    own = outputs[..., np.arange(data.size), data.y[0]]
    return np.minimum(scipy.special.logsumexp(outputs, -1) - own, -np.log(CLIP))


def held_out(data: Data, outputs: np.ndarray) -> np.ndarray:
    """The outputs [T, N0, C] for every row by the fit without its fold, from those [T, F, N0, C] for all rows by all fits."""
    own = outputs[:, np.maximum(data.fold, 0), np.arange(data.size)]
    return np.where(data.fold[:, None] >= 0, own, np.nan)
