"""Tasks: T columns of labels over one set of inputs, some of them missing; made from Domains or from a matrix of labels."""
import dataclasses
from collections.abc import Sequence

import numpy as np

from transfer_jax.experiment.data.domains import Domains
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tasks:
    """The data of T tasks.

    inputs [n, ...]: float32. labels [n, T]: float32 (regression, all tasks in one unit: they are standardised together) or int32 numbers
    of classes. mask [n, T]: True where there is a label; a value under False has no effect. classes: names by number, None for a
    regression. Raises UserError where a task has no label, a label is not finite or not a class, or inputs are not finite.
    """
    inputs: np.ndarray
    labels: np.ndarray
    mask: np.ndarray
    names: tuple[str, ...]
    classes: tuple[str, ...] | None

    def __post_init__(self):
        if self.labels.shape != (len(self.inputs), len(self.names)) or self.mask.shape != self.labels.shape or self.mask.dtype != bool:
            raise ValueError(f'{counted(len(self.inputs), "input")} and {counted(len(self.names), "task")} want labels and a bool '
                             'mask of that shape, got '
                             f'{self.labels.shape} and {self.mask.dtype}{self.mask.shape}')
        high = np.inf if self.classes is None else len(self.classes)
        low = -np.inf if self.classes is None else 0
        wrong = self.mask & ~(np.isfinite(self.labels) & (self.labels >= low) & (self.labels < high))
        if wrong.any():
            row, task = np.argwhere(wrong)[0]
            raise UserError(f'task {self.names[task]!r}: the label of row {row} is {self.labels[row, task]}; it must be '
                            + ('a finite number' if self.classes is None else f'a class from 0 to {high - 1}') + ', or its mask False')
        if not (finite := np.isfinite(self.inputs.reshape(len(self.inputs), -1)).all(1)).all():
            raise UserError(f'drop the {counted(np.count_nonzero(~finite), "input that holds", "inputs that hold")} NaN or '
                            f'infinity, first row {np.argmin(finite)}')
        if not self.mask.any(0).all():
            raise UserError(f'task {self.names[np.argmin(self.mask.any(0))]!r} has no label; leave it out')


def from_domains(domains: Domains) -> Tasks:
    """Each Domain is a task: its examples have only its own label. Domains of uint8 images become float32."""
    sizes = [len(domain) for domain in domains.domains]
    task = np.repeat(np.arange(len(sizes)), sizes)
    mask = task[:, None] == np.arange(len(sizes))
    values = np.concatenate([domain.labels for domain in domains.domains])
    dtype = np.float32 if domains.classes is None else np.int32
    return Tasks(inputs=np.concatenate([np.asarray(domain.inputs, np.float32) for domain in domains.domains]),
                 labels=np.where(mask, values[:, None], 0).astype(dtype), mask=mask, names=domains.names, classes=domains.classes)


def from_labels(inputs: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> Tasks:
    """Multi-label regression: labels [n, T], where NaN is a missing one."""
    labels = np.asarray(labels, np.float32)
    return Tasks(inputs=np.asarray(inputs, np.float32), labels=labels, mask=~np.isnan(labels), names=tuple(names), classes=None)
