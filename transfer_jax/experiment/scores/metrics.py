"""METRICS: every score by name; which of them serve a task, and the scores of outputs."""
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from transfer_jax.experiment.scores import classes as of_classes
from transfer_jax.experiment.scores import values as of_values
from transfer_jax.runtime.errors import UserError

CLASSES, VALUES = 'classification', 'regression'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric:
    """A score. function: of classes.Answers, or of (values, labels). higher: whether a higher score is better."""
    task: str
    label: str
    function: Callable[..., float | None]
    higher: bool = True


def _of_classes(label, function, higher=True):
    return Metric(task=CLASSES, label=label, function=function, higher=higher)


METRICS = {
    'accuracy': _of_classes('accuracy', of_classes.accuracy),
    'balanced_accuracy': _of_classes('balanced accuracy', of_classes.balanced_accuracy),
    'auc': _of_classes('AUC', of_classes.auc),
    'average_precision': _of_classes('average precision', of_classes.average_precision),
    'log_loss': _of_classes('log-loss', of_classes.log_loss, higher=False),
    'brier': _of_classes('Brier score', of_classes.brier, higher=False),
    'ece': _of_classes('calibration error', of_classes.ece, higher=False),
    'explained_variance': Metric(task=VALUES, label='explained variance', function=of_values.explained_variance),
    'rmse': Metric(task=VALUES, label='RMSE', function=of_values.rmse, higher=False),
    'mae': Metric(task=VALUES, label='MAE', function=of_values.mae, higher=False),
}
LOSSES = {'half_squared': Metric(task=VALUES, label='loss', function=of_values.half_squared, higher=False)}  # what training minimises
LOSS_OF = {CLASSES: 'log_loss', VALUES: 'half_squared'}
DEFAULT = {CLASSES: ('accuracy', 'balanced_accuracy', 'auc', 'average_precision', 'log_loss', 'ece'),
           VALUES: ('explained_variance', 'rmse', 'mae')}
NEED_ALL_CLASSES = ('balanced_accuracy', 'auc', 'average_precision')  # whose meaning changes where test rows lack a class


def resolve(names: Sequence[str] | None, task: str, key: str) -> tuple[str, ...]:
    """The scores of a run, the first of them the main one: those of a config's key, or the default ones of the task.

    Raises UserError for a score that is named twice, or is not of this task.
    """
    if names is None:
        return DEFAULT[task]
    if len(set(names)) < len(names):
        raise UserError(f'config.{key} names a score twice: {", ".join(names)}')
    for name in names:
        if METRICS[name].task != task:
            fitting = ', '.join(other for other, metric in METRICS.items() if metric.task == task)
            raise UserError(f'config.{key}: {name!r} is a score of a {METRICS[name].task}, and this is a {task}; take of {fitting}')
    return tuple(names)


def score(outputs: np.ndarray, labels: np.ndarray, names: Sequence[str], positive: int | None) -> dict[str, float | None]:
    """{name: score} of outputs [m, C] (logits; of a regression values [m, 1]) and labels [m]; all None without rows.

    positive: the class by which two are scored (classes.rarer); None for a regression.
    """
    if not len(labels):
        return dict.fromkeys(names)
    arguments = (np.asarray(outputs)[:, 0], labels) if positive is None else (of_classes.answers(outputs, labels, positive),)
    return {name: (LOSSES | METRICS)[name].function(*arguments) for name in names}


def better(name: str, ours: Any, theirs: Any) -> np.ndarray:
    """bool: whether scores of this name are better than others, elementwise; NaN is never better or worse."""
    ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
    return ours > theirs if METRICS[name].higher else ours < theirs
