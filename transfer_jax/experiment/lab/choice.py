"""Choice: the weights that the target's folds call for: those of G, unless held-out rows say otherwise."""
import dataclasses

import numpy as np

from transfer_jax.experiment.lab.folds import GLOBAL_WEIGHTS
from transfer_jax.experiment.lab.lab import Lab
from transfer_jax.experiment.lab.measure import LESS, SHORTFALLS
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
    """The Choice among UOWQ's weights and those that trust the sources less (a part LESS of them, none), and those that trust them more
    (UOWQ's times each of SHORTFALLS, GLOBAL_WEIGHTS), as evidence.best chooses; made once in a Lab.
    """
    return lab.once('choice', lambda: _choose(lab))


def _choose(lab):
    optimal = np.asarray(check(lab.measure_middle().weights()).weights)
    same = lambda weight: np.full_like(optimal, weight)
    larger = [tau for tau in SHORTFALLS if tau > 1]
    safe = {OPTIMAL: optimal, f'{OPTIMAL} x {LESS:g}': optimal * LESS, ALONE: same(0)}
    weights = {**safe, **{f'{OPTIMAL} x {tau:g}': optimal * tau for tau in larger},
               **{f'one weight of {weight:g}': same(weight) for weight in GLOBAL_WEIGHTS if weight}}
    names, stack = tuple(weights), np.stack(list(weights.values()))
    if lab.folds is None:
        return Choice(names[:1], stack[:1], None, np.zeros(len(optimal), int))
    trials, (alone, *shared) = lab.folds.fit_trials(), lab.folds.fit_global().values()
    chosen, losses = lab.folds.best((trials[1.0], trials[LESS], alone, *(trials[tau] for tau in larger), *shared), len(safe))
    return Choice(names, stack, losses, chosen)
