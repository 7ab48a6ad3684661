"""Transfer: from Data and a learner to weights, a plan, what the folds favour, and what is not known."""
import dataclasses

import jax
import numpy as np

from transfer_jax.evidence import ALONE, OPTIMAL
from transfer_jax.knowledge import is_unsure
from transfer_jax.objective import predicted_error
from transfer_jax.planning import Plan, plan
from transfer_jax.runtime.counts import counted
from transfer_jax.sklearn.data import Data
from transfer_jax.sklearn.learner import Learner
from transfer_jax.sklearn.measure import measure
from transfer_jax.sklearn.selection import Selection, select


@dataclasses.dataclass(frozen=True, eq=False)
class Transfer:
    """weights [K] of the sources; worth: the extra target samples that the plan's G gives them; choice: the most probable candidate of
    the folds; notes: sentences for a reader.

    plan and selection are None without sources, and selection where no folds were compared.
    """
    weights: np.ndarray
    worth: float
    choice: str
    plan: Plan | None = None
    selection: Selection | None = None
    notes: tuple[str, ...] = ()


def transfer(data: Data, learner: Learner, names: tuple[str, ...], selecting: bool) -> Transfer:
    """The Transfer of a Data: fits, G, weights, and the choice by folds where `selecting` and there are folds."""
    if not len(data.sizes):
        return Transfer(np.zeros(0), 0.0, ALONE)
    measurement = measure(data, learner.outputs(data))
    with jax.enable_x64(True):
        made = plan(data.size, data.sizes, measurement.gram, names=names,
                    replicates=measurement.replicates if len(measurement.replicates) > 1 else None)
        planned = np.asarray(made.weights)
        selection = select(data, learner, measurement, planned) if selecting and data.folds else None
        weights = planned if selection is None else selection.decision
        error = float(predicted_error(data.size, data.sizes, measurement.gram, weights))
    choice = OPTIMAL if selection is None else selection.names[selection.favourite]
    return Transfer(weights, 1 / error - data.size, choice, made, selection, (*unknown(made), *doubts(selection, selecting)))


def unknown(made: Plan) -> list[str]:
    """A sentence for each source of which the labels cannot tell whether it helps: its worth may be nothing, or more than the target."""
    if made.weight_intervals is None:
        return ['Each class has one label, so no fold can be left out: no interval is known, and the weights stand on the sources\' noise.']
    bounds = made.weight_intervals * made.source_sizes[:, None]
    return [f'The {counted(round(made.target_size), "label")} of the target cannot tell whether {name} helps: it may be worth '
            f'{low:.0f} to {high:.0f} '
            'of them.' for name, (low, high) in zip(made.names, bounds, strict=True)
            if is_unsure(low, high, made.target_size)]


def doubts(selection: Selection | None, selecting: bool) -> list[str]:
    """What the folds cannot tell apart."""
    if selection is None:
        return ['No fold compared the plan with the target alone.'] if selecting else []
    if selection.names[selection.favourite] == ALONE and not selection.decision.any():
        return ['The folds favour no source: the safe choice is the target alone.']
    if selection.names[selection.favourite] == ALONE:
        return [f'The folds give {ALONE!r} the largest probability, {selection.probability.max():.2f}; the weights are the average of all '
                'candidates: these labels cannot show that the sources help.']
    gain, error = selection.gain(ALONE)
    if gain > error:
        return []
    name = selection.names[selection.favourite]
    return [f'The folds favour {name!r}, but its gain over the target alone ({gain:.3g} ± {error:.3g} of the loss of a row) is not clear: '
            'these labels cannot show that the sources help.']
