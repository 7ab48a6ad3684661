"""Choice: the weights that the target's folds call for: UOWQ's own, unless another candidate is clearly better on held-out rows."""
import dataclasses

import numpy as np

from transfer_jax.experiment.lab.evidence import clearly_best
from transfer_jax.experiment.lab.folds import GLOBAL_WEIGHTS
from transfer_jax.experiment.lab.lab import Lab
from transfer_jax.experiment.lab.measure import SHORTFALLS
from transfer_jax.solver.solution import check

OPTIMAL, ALONE = 'UOWQ', 'target only'


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
    """The Choice among UOWQ's weights, the target alone, UOWQ's times each of SHORTFALLS, and GLOBAL_WEIGHTS, made once in a Lab."""
    return lab.once('choice', lambda: _choose(lab))


def _choose(lab):
    optimal = np.asarray(check(lab.measure_middle().weights()).weights)
    same = lambda weight: np.full_like(optimal, weight)
    weights = {OPTIMAL: optimal, ALONE: same(0), **{f'{OPTIMAL} x {tau:g}': optimal * tau for tau in SHORTFALLS if tau != 1},
               **{f'one weight of {weight:g}': same(weight) for weight in GLOBAL_WEIGHTS if weight}}
    names, stack = tuple(weights), np.stack(list(weights.values()))
    if lab.folds is None:
        return Choice(names[:1], stack[:1], None, np.zeros(len(optimal), int))
    (first, *others), (alone, *shared) = lab.folds.fit_trials().values(), lab.folds.fit_global().values()
    losses = lab.folds.held_out_losses((first, alone, *others, *shared))
    return Choice(names, stack, losses, clearly_best(losses))
