"""A method is a function of a Lab that returns an Outcome: its predictions, its policy and its costs."""
import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of a method for one target, over S seeds.

    outputs [S, n, C]: on all the target's rows; weights, quantities [S, K]: its last policy for the sources, or None. drawn [S]: samples
    drawn in training; seconds: of its own training; shared_seconds: of fits it used that others use too; control_seconds: of Fisher
    products and solving. history: ({step, weights [S, K], quantities [S, K]}, ...), its decisions.
    """
    outputs: np.ndarray
    weights: np.ndarray | None = None
    quantities: np.ndarray | None = None
    drawn: np.ndarray
    seconds: float
    shared_seconds: float = 0.0
    control_seconds: float = 0.0
    history: tuple = ()


def outcome(lab, fit, *, outputs=None, replicas=None, shared=(), shared_seconds=0.0, control_seconds=0.0):
    """The Outcome of a Fit: replicas: the S replicas that count, where there are more than seeds; shared: other fits that it used."""
    pick = lambda x: np.asarray(x) if replicas is None else np.asarray(x)[replicas]
    record = fit.record
    history = tuple({'step': event['step'], 'weights': lab.of_sources(event['weights']), 'quantities': lab.of_sources(event['quantities'])}
                    for event in record['history'])
    return Outcome(outputs=lab.outputs(fit.params) if outputs is None else outputs,
                   weights=lab.of_sources(pick(fit.policy.weights)), quantities=lab.of_sources(pick(fit.policy.quantities)),
                   drawn=pick(record['drawn']), seconds=record['seconds'], control_seconds=control_seconds + record['control_seconds'],
                   shared_seconds=shared_seconds + sum(fit.record['seconds'] for fit in {id(fit): fit for fit in shared if fit}.values()),
                   history=history)


def combine(lab, outputs, mixture=None):
    """The Outcome of a method that combines the source fits and trains nothing; mixture [S, K]: its weights, if it has any."""
    return Outcome(outputs=outputs, weights=mixture, drawn=np.zeros(len(lab.splits), int), seconds=0.0,
                   shared_seconds=lab.fit_singles().record['seconds'])
