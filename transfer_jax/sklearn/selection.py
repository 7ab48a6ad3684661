"""Selection: the weights that the target's folds call for, as the transfer job decides it (transfer_jax.evidence)."""
import dataclasses

import jax
import numpy as np

from transfer_jax import evidence
from transfer_jax.knowledge import gain
from transfer_jax.sklearn.data import Data
from transfer_jax.sklearn.learner import Learner, loss_of
from transfer_jax.sklearn.measure import Measurement
from transfer_jax.solver.solution import check
from transfer_jax.weights import source_weights


@dataclasses.dataclass(frozen=True, eq=False)
class Selection:
    """T candidates: names, weights [T, K], plain losses [T, n] of held-out rows, fold [n] of the rows, probability [T].

    decision [K]: the weights that evidence.averaged makes of them.
    """
    names: tuple[str, ...]
    weights: np.ndarray
    losses: np.ndarray
    fold: np.ndarray
    probability: np.ndarray
    decision: np.ndarray

    @property
    def favourite(self) -> int:
        """The number of the most probable candidate."""
        return int(self.probability.argmax())

    def results(self) -> dict:
        """As cv_results_ of scikit-learn's searches, and probability [T]: scores are plain losses times -1, means over rows of a fold."""
        of_folds = -np.stack([self.losses[:, self.fold == fold].mean(1) for fold in range(self.fold.max() + 1)], 1)
        mean = -self.losses.mean(1)
        return {'candidate': np.array(self.names), 'weights': self.weights, 'mean_test_score': mean, 'std_test_score': of_folds.std(1),
                'rank_test_score': np.array([1 + int((mean > score).sum()) for score in mean]), 'probability': self.probability,
                **{f'split{fold}_test_score': scores for fold, scores in enumerate(of_folds.T)}}

    def gain(self, other: str) -> tuple[float, float]:
        """(mean, standard error) over held-out rows of the loss of another candidate less that of the most probable one."""
        return gain(self.losses[self.favourite], self.losses[self.names.index(other)])


def select(data: Data, learner: Learner, measurement: Measurement, weights: np.ndarray) -> Selection:
    """The Selection among evidence.candidates of the plan's weights [K], by the rows that no fit of their candidate has seen.

    What is tried on a fold are the candidates of the weights that the fold's own replicate of G gives, so a left-out row has no part in the
    weights that are tried on it; the ridge and the unit c alone are those of all rows.
    """
    with jax.enable_x64(True):
        of_folds = np.asarray(check(source_weights(data.size, data.sizes, measurement.replicates)).weights)
    names, tried = evidence.candidates(of_folds)
    outputs, rows = learner.trials(data, tried), data.fold >= 0
    plain = loss_of(data, outputs)[:, rows]
    calibrated = None if data.classes is None else evidence.calibrated_losses(outputs[:, rows], data.y[0][rows])[:, None]
    probability = evidence.probabilities(plain[:, None], calibrated, evidence.SAFE)
    compared = evidence.candidates(weights)[1]
    decision = evidence.averaged(compared[:, None], probability, data.size, np.asarray(data.sizes))[0]
    return Selection(names, compared, plain, data.fold[rows], probability[:, 0], decision)
