"""Scores of a method on one target, and their summary: means and standard errors over seeds, negative transfer, samples, time."""
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from transfer_jax.experiment.lab.lab import Lab
from transfer_jax.experiment.lab.measure import Measurement
from transfer_jax.experiment.methods.protocol import Outcome
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.paths import AnyPath

CHOICE_PART, SCORE_PART = 'validation', 'test'
FRACTIONS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # of the source samples' cost, in the budget's curve


def scores(outputs: np.ndarray, labels: np.ndarray, rows: np.ndarray, classes: tuple[str, ...] | None) -> dict[str, float | None]:
    """{accuracy, loss} of outputs [n, C] on rows [m]: the share of right answers and the mean of -log p.

    For a regression (classes None) they are the explained variance and half the mean squared error.
    """
    outputs, labels = np.asarray(outputs, np.float64)[rows], np.asarray(labels)[rows]
    if not len(rows):
        return {'accuracy': None, 'loss': None}
    if classes is None:
        error = (outputs[:, 0] - labels) ** 2
        return {'accuracy': float(1 - error.mean() / max(labels.var(), 1e-12)), 'loss': float(error.mean() / 2)}
    log_p = outputs - np.log(np.sum(np.exp(outputs - outputs.max(1, keepdims=True)), 1, keepdims=True)) - outputs.max(1, keepdims=True)
    return {'accuracy': float(np.mean(outputs.argmax(1) == labels)), 'loss': float(-log_p[np.arange(len(rows)), labels].mean())}


def record(lab: Lab, outcome: Outcome, measurement: Measurement | None) -> dict[str, Any]:
    """The record of an Outcome: plain values, one a seed where they differ by seed. measurement: predicts its error, or None."""
    pairs = list(zip(outcome.outputs, lab.splits, strict=True))
    per_part = {part: [scores(out, lab.labels, getattr(split, part), lab.classes) for out, split in pairs]
                for part in (CHOICE_PART, SCORE_PART)}
    to_list = lambda x: None if x is None else np.asarray(x, np.float64).tolist()
    return {**per_part, 'weights': to_list(outcome.weights), 'quantities': to_list(outcome.quantities), 'drawn': to_list(outcome.draws),
            'seconds': outcome.seconds, 'shared_seconds': outcome.shared_seconds, 'control_seconds': outcome.control_seconds,
            'predicted': predict_error(outcome, measurement),
            'history': [{key: value if key == 'step' else to_list(value) for key, value in event.items()} for event in outcome.history]}


def predict_error(outcome: Outcome, measurement: Measurement | None) -> list[float] | None:
    """F [S] of the outcome's weights and quantities by a Measurement; None without one, or without a policy."""
    if measurement is None or outcome.weights is None or outcome.quantities is None:
        return None
    return np.asarray(measurement.error(outcome.weights.astype(np.float32), outcome.quantities.astype(np.float32))).tolist()


def pareto(measurement: Measurement, costs: Sequence[float]) -> dict[str, Any]:
    """Predicted F over target only's, means over seeds: 'errors' at FRACTIONS of the budget, 'otqms_error' at OTQMS's own 'otqms_part'."""
    alone = measurement.error(*(np.zeros((len(measurement.shortfall), len(costs)), np.float32),) * 2)
    over_alone = lambda *policy: float(np.mean(np.asarray(measurement.error(*policy)) / np.asarray(alone)))
    within = [measurement.within(fraction, costs) for fraction in FRACTIONS]
    amounts, sizes = measurement.amounts(), np.asarray(measurement.source_sizes)
    part = np.mean(np.sum(np.asarray(amounts.quantities) * costs, 1)) / np.sum(sizes * costs)
    return {'errors': [over_alone(solution.weights, solution.quantities) for solution in within],
            'otqms_part': float(part), 'otqms_error': over_alone(amounts.weights, amounts.quantities)}


def mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
    """(mean, standard error) of values over seeds; the error is None for one seed."""
    values = np.asarray(values, float)
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def summary(targets: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Rows {method: ...} from {target: {method: record}}: for each target and their average, accuracy and loss on the test part.

    An average over targets is taken seed by seed, so its error is over seeds too. negative: part of the (target, seed) pairs in which a
    method is worse than target_only, if that was run. seconds: of training and its shared fits; drawn: samples a seed.
    """
    methods = list(dict.fromkeys(name for records in targets.values() for name in records))
    return {name: _row(name, {target: records for target, records in targets.items() if name in records}) for name in methods}


def _row(name, targets):
    of = lambda measure, method=name: {target: np.array([seed[measure] for seed in records[method][SCORE_PART]], float)
                                       for target, records in targets.items()}
    mine = {measure: of(measure) for measure in ('accuracy', 'loss')}
    alone = of('accuracy', 'target_only') if all('target_only' in records for records in targets.values()) else None
    total = lambda key: float(sum(np.mean(records[name][key]) for records in targets.values()))
    return {'targets': {target: {measure: mean_and_error(mine[measure][target]) for measure in mine} for target in targets},
            'average': {measure: mean_and_error(np.mean(list(values.values()), 0)) for measure, values in mine.items()},
            'negative': None if alone is None else float(np.mean([mine['accuracy'][target] < alone[target] for target in targets])),
            **{key: total(key) for key in ('drawn', 'seconds', 'shared_seconds', 'control_seconds')}}


def write_results(path: AnyPath, targets: Mapping[str, Mapping[str, Any]], facts: Mapping[str, Any]) -> None:
    """Writes results.json, all or nothing: facts, the summary, and every record."""
    write_atomically(path, json.dumps({**facts, 'summary': summary(targets), 'targets': targets}, indent=1).encode())
