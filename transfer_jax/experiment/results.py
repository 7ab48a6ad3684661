"""Scores of a method on one target, and their summary: means and standard errors over seeds, negative transfer, samples, time."""
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from transfer_jax.experiment.data.domains import Domain, Domains
from transfer_jax.experiment.lab.lab import Lab
from transfer_jax.experiment.lab.measure import Measurement
from transfer_jax.experiment.methods.protocol import Outcome
from transfer_jax.experiment.scores.calibration import calibration
from transfer_jax.experiment.scores.classes import answers, rarer
from transfer_jax.experiment.scores.metrics import better, score
from transfer_jax.experiment.scores.summary import mean_and_error, mean_over_first
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.paths import AnyPath

CHOICE_PART, SCORE_PART = 'validation', 'test'
FRACTIONS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # of the source samples' cost, in the budget's curve


def scores(outputs: np.ndarray, labels: np.ndarray, rows: np.ndarray, classes: tuple[str, ...] | None,
           names: Sequence[str] = (), positive: int = 1) -> dict[str, float | None]:
    """{accuracy, loss, and the scores `names`} of outputs [n, C] on rows [m]: the share of right answers and the mean of -log p.

    For a regression (classes None) they are the explained variance and half the mean squared error. positive: the class that two classes
    are scored by. None: without rows, or a score that has no value on them.
    """
    outputs, labels = np.asarray(outputs)[rows], np.asarray(labels)[rows]
    wanted = dict.fromkeys((*(('accuracy', 'log_loss') if classes is not None else ('explained_variance', 'half_squared')), *names))
    found = score(outputs, labels, tuple(wanted), None if classes is None else positive)
    return dict(zip(('accuracy', 'loss'), found.values(), strict=False)) | {name: found[name] for name in names}


def record(lab: Lab, outcome: Outcome, measurement: Measurement | None, names: Sequence[str] = ()) -> dict[str, Any]:
    """The record of an Outcome: plain values, one a seed where they differ by seed. measurement: predicts its error, or None.

    names: the scores of the test rows, beside accuracy and loss.
    """
    pairs, positive = list(zip(outcome.outputs, lab.splits, strict=True)), positive_of(lab.domains, lab.classes)
    to_list = lambda x: None if x is None else np.asarray(x, np.float64).tolist()
    return {CHOICE_PART: [scores(out, lab.labels, getattr(split, CHOICE_PART), lab.classes) for out, split in pairs],
            SCORE_PART: [scores(out, lab.labels, getattr(split, SCORE_PART), lab.classes, names, positive) for out, split in pairs],
            'calibration': None if lab.classes is None else calibration(
                answers(out[split.test], lab.labels[split.test], positive).bins for out, split in pairs),
            'weights': to_list(outcome.weights), 'quantities': to_list(outcome.quantities), 'drawn': to_list(outcome.draws),
            'seconds': outcome.seconds, 'shared_seconds': outcome.shared_seconds, 'control_seconds': outcome.control_seconds,
            'predicted': predict_error(outcome, measurement),
            'history': [{key: value if key == 'step' else to_list(value) for key, value in event.items()} for event in outcome.history]}


def positive_of(domains: Sequence[Domain], classes: Sequence[str] | None) -> int | None:
    """The class by which two are scored: the rarer one of all domains' rows; None for a regression."""
    return None if classes is None else rarer(np.concatenate([domain.labels for domain in domains]), len(classes))


def positive_name(domains: Domains) -> str | None:
    """The name of that class, where there are two classes; else None."""
    two = domains.classes is not None and len(domains.classes) == 2
    return domains.classes[positive_of(domains.domains, domains.classes)] if two else None


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


def summary(targets: Mapping[str, Mapping[str, Any]], names: Sequence[str] = ('accuracy',)) -> dict[str, Any]:
    """Rows {method: ...} from {target: {method: record}}: for each target and their average, accuracy, loss and the scores `names` on the
    test part.

    An average over targets is taken seed by seed, so its error is over seeds too. negative: part of the (target, seed) pairs in which a
    method is worse than target_only by the first of the scores, if that was run. seconds: of training and its shared fits; drawn: samples
    a seed. A score without a value is left out of means.
    """
    methods = list(dict.fromkeys(name for records in targets.values() for name in records))
    return {name: _row(name, {target: records for target, records in targets.items() if name in records}, names) for name in methods}


def _row(name, targets, names):
    of = lambda measure, method=name: {target: np.array([seed[measure] for seed in records[method][SCORE_PART]], float)
                                       for target, records in targets.items()}
    mine = {measure: of(measure) for measure in dict.fromkeys(('accuracy', 'loss', *names))}
    alone = of(names[0], 'target_only') if all('target_only' in records for records in targets.values()) else None
    total = lambda key: float(sum(np.mean(records[name][key]) for records in targets.values()))
    return {'targets': {target: {measure: mean_and_error(mine[measure][target]) for measure in mine} for target in targets},
            'average': {measure: mean_and_error(mean_over_first(list(values.values()))) for measure, values in mine.items()},
            'negative': None if alone is None else float(np.mean([better(names[0], alone[target], mine[names[0]][target])
                                                                  for target in targets])),
            **{key: total(key) for key in ('drawn', 'seconds', 'shared_seconds', 'control_seconds')}}


def write_results(path: AnyPath, targets: Mapping[str, Mapping[str, Any]], facts: Mapping[str, Any], names: Sequence[str]) -> None:
    """Writes results.json, all or nothing: facts, the scores' names, the summary, and every record."""
    content = {**facts, 'metrics': list(names), 'summary': summary(targets, names), 'targets': targets}
    write_atomically(path, json.dumps(content, indent=1).encode())
