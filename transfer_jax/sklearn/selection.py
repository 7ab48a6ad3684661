"""Selection: folds of the target choose among no source, one weight for all, all sources, and the plan's weights."""
import dataclasses

import jax
import numpy as np

from transfer_jax.knowledge import gain
from transfer_jax.sklearn.data import Data
from transfer_jax.sklearn.learner import Learner
from transfer_jax.sklearn.measure import Measurement
from transfer_jax.solver.solution import check
from transfer_jax.weights import source_weights

ONE_WEIGHT = (0.01, 0.03, 0.1, 0.3)
NONE, ALL, PLAN = 'none', 'all', 'plan'


@dataclasses.dataclass(frozen=True, eq=False)
class Selection:
    """names [T] of the candidates, their weights [T, K], the losses [T, N0] of held-out rows, and the number of the chosen one."""
    names: tuple[str, ...]
    weights: np.ndarray
    losses: np.ndarray
    fold: np.ndarray
    chosen: int

    def results(self) -> dict:
        """As cv_results_ of scikit-learn's searches: scores are losses times -1, means over the rows of a fold."""
        of_folds = -np.stack([self.losses[:, self.fold == fold].mean(1) for fold in range(self.fold.max() + 1)], 1)
        mean = -np.nanmean(self.losses, 1)
        return {'candidate': np.array(self.names), 'weights': self.weights, 'mean_test_score': mean, 'std_test_score': of_folds.std(1),
                'rank_test_score': np.array([1 + int((mean > score).sum()) for score in mean]),
                **{f'split{fold}_test_score': scores for fold, scores in enumerate(of_folds.T)}}

    def gain(self, other: str) -> tuple[float, float]:
        """(mean, standard error) over held-out rows of the loss of another candidate less that of the chosen one."""
        return gain(self.losses[self.chosen], self.losses[self.names.index(other)])


def select(data: Data, learner: Learner, measurement: Measurement, weights: np.ndarray) -> Selection:
    """The Selection, by the mean loss of rows that no fit of their candidate has seen.

    The plan's weights [K] are tried as what each fold's own replicate of G gives, so a left-out row has no part in the weights that are
    tried on it; c alone is that of all rows. Ties go to the first: none, the plan, one weight from small to large, all.
    """
    folds, sources = data.folds, len(data.sizes)
    with jax.enable_x64(True):
        of_folds = np.asarray(check(source_weights(data.size, data.sizes, measurement.replicates)).weights)
    names = (NONE, PLAN, *(f'one weight, {weight:g}' for weight in ONE_WEIGHT), ALL)
    same = np.array([0.0, *ONE_WEIGHT, 1.0])
    tried = np.broadcast_to(same[:, None, None], (len(same), folds, sources))
    tried = np.concatenate([tried[:1], of_folds[None], tried[1:]])
    losses = learner.trials(data, tried)
    chosen = int(np.argmin(np.nanmean(losses, 1)))
    each = np.broadcast_to(same[:, None], (len(same), sources))
    return Selection(names, np.concatenate([each[:1], weights[None], each[1:]]), losses, data.fold, chosen)
