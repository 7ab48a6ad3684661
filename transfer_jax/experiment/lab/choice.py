"""Choice: the weights that the target's folds call for: those of G, unless held-out rows say otherwise."""
import dataclasses

import numpy as np

from transfer_jax.evidence import LESS, MORE, SAFE, candidates
from transfer_jax.experiment.lab.lab import Lab
from transfer_jax.solver.solution import check


@dataclasses.dataclass(frozen=True, eq=False)
class Choice:
    """T candidates: names, weights [T, S, K] of the sources, loss [T, S, N0] of held-out rows (None without folds), chosen [S]."""
    names: tuple[str, ...]
    weights: np.ndarray
    losses: np.ndarray | None
    chosen: np.ndarray

    @property
    def decision(self) -> np.ndarray:
        """The chosen weights [S, K]."""
        return self.weights[self.chosen, np.arange(self.weights.shape[1])]


def choice_of(lab: Lab) -> Choice:
    """The Choice among evidence.candidates of UOWQ's weights, as evidence.best chooses; made once in a Lab."""
    return lab.once('choice', lambda: _choose(lab))


def _choose(lab):
    optimal = np.asarray(check(lab.measure_middle().weights()).weights)
    names, weights = candidates(optimal)
    if lab.folds is None:
        return Choice(names[:1], weights[:1], None, np.zeros(len(optimal), int))
    trials, (alone, *shared) = lab.folds.fit_trials(), lab.folds.fit_global().values()
    chosen, losses = lab.folds.best((trials[1.0], trials[LESS], alone, *(trials[factor] for factor in MORE), *shared), SAFE)
    return Choice(names, weights, losses, chosen)
