"""A method is a function of a Lab that returns an Outcome: its predictions, its policy and its costs."""
import dataclasses

import numpy as np

from transfer_jax.experiment.lab.lab import Lab
from transfer_jax.experiment.training.fit import Fit


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of a method for one target, over S seeds.

    outputs [S, n, C]: on all the target's rows; weights, quantities [S, K]: its last policy for the sources, or None. draws [S]:
    samples that training drew; seconds: of its own training; shared_seconds: of fits that it shares with other methods; control_seconds: of
    Fisher products and solving. history: ({step, weights [S, K], quantities [S, K]}, ...), its decisions.
    """
    outputs: np.ndarray
    weights: np.ndarray | None = None
    quantities: np.ndarray | None = None
    draws: np.ndarray
    seconds: float
    shared_seconds: float = 0.0
    control_seconds: float = 0.0
    history: tuple = ()


def outcome(lab: Lab, fit: Fit, *, outputs: np.ndarray | None = None, replicas: np.ndarray | None = None, shared: tuple[Fit, ...] = (),
            control_seconds: float = 0.0, shared_seconds: float = 0.0) -> Outcome:
    """The Outcome of a Fit. replicas [S]: the replica of each seed that counts, where a seed has several; shared: the other fits in use,
    and shared_seconds of what else was trained for it.
    """
    pick = lambda x: np.asarray(x) if replicas is None else np.asarray(x)[replicas]
    record = fit.record
    return Outcome(outputs=lab.outputs(fit.params) if outputs is None else outputs,
                   weights=lab.of_sources(pick(fit.policy.weights)), quantities=lab.of_sources(pick(fit.policy.quantities)),
                   draws=pick(record['drawn']), seconds=record['seconds'], control_seconds=control_seconds + record['control_seconds'],
                   shared_seconds=shared_seconds + sum(fit.record['seconds'] for fit in {id(fit): fit for fit in shared}.values()),
                   history=history_of(lab, fit))


def history_of(lab: Lab, fit: Fit) -> tuple[dict, ...]:
    """({step, weights [S, K], quantities [S, K]}, ...): the decisions for the sources in a Fit."""
    return tuple({'step': event['step'], 'weights': lab.of_sources(event['weights']), 'quantities': lab.of_sources(event['quantities'])}
                 for event in fit.record['history'])


def combine(lab: Lab, outputs: np.ndarray, mixture: np.ndarray | None = None) -> Outcome:
    """The Outcome of a method that combines the source fits and trains nothing; mixture [S, K]: its weights, or None."""
    return Outcome(outputs=outputs, weights=mixture, draws=np.zeros(len(lab.splits), int), seconds=0.0,
                   shared_seconds=lab.fit_singles().record['seconds'])
