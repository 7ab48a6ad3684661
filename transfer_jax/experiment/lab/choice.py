"""Choice: the weights that the target's folds call for, an average over what they tried."""
import dataclasses

import numpy as np

from transfer_jax import evidence
from transfer_jax.evidence import LESS, MORE, SAFE, candidates
from transfer_jax.experiment.lab.lab import Lab
from transfer_jax.solver.solution import check


@dataclasses.dataclass(frozen=True, eq=False)
class Choice:
    """T candidates: names, weights [T, S, K] of the sources, losses [T, S, N0] of held-out rows (None without folds), probability [T, S].

    decision [S, K]: the weights that evidence.averaged makes of them.
    """
    names: tuple[str, ...]
    weights: np.ndarray
    losses: np.ndarray | None
    probability: np.ndarray
    decision: np.ndarray

    @property
    def favourite(self) -> np.ndarray:
        """The number [S] of the most probable candidate."""
        return np.argmax(self.probability, 0)


def choice_of(lab: Lab) -> Choice:
    """The Choice over evidence.candidates of UOWQ's weights, by evidence.probabilities; made once in a Lab."""
    return lab.once('choice', lambda: _choose(lab))


def _choose(lab):
    optimal = np.asarray(check(lab.measure_middle().weights()).weights)
    names, weights = candidates(optimal)
    if lab.folds is None:
        return Choice(names[:1], weights[:1], None, np.ones((1, len(optimal))), optimal)
    trials, (alone, *shared) = lab.folds.fit_trials(), lab.folds.fit_global().values()
    fits = (trials[1.0], trials[LESS], alone, *(trials[factor] for factor in MORE), *shared)
    plain, calibrated = lab.folds.candidate_losses(fits)
    probability = evidence.probabilities(plain, calibrated, SAFE)
    return Choice(names, weights, plain, probability, evidence.averaged(weights, probability, lab.target_size, lab.sizes))
