"""Training, validation and test rows of every task, for several seeds at once, as padded arrays of indices."""
import dataclasses
from collections.abc import Sequence

import jax
import numpy as np

from transfer_jax.experiment.multitask.tasks import Tasks
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Part:
    """Rows of each task: index int32 [..., T, m] into the inputs, count int32 [..., T]; the first `count` are rows, the rest are 0."""
    index: jax.Array
    count: jax.Array

    def label_mask(self) -> np.ndarray:
        """bool [..., T, m]: whether a place holds a row."""
        return np.arange(self.index.shape[-1]) < np.asarray(self.count)[..., None]


def split(tasks: Tasks, seeds: Sequence[int], train: float, validation: float) -> dict[str, Part]:
    """{'train', 'validation', 'test'}: Part with a leading axis of seeds.

    train: fraction of the rows for training, of which `validation` is the share that is held out for choices; the rest is the test part.
    No row is in two parts. Rows are grouped by the first task that they have a label of, and every group is divided by these fractions;
    where each row has one label, every task is divided so. Raises UserError for a task that a part holds no label of.
    """
    group = np.argmax(tasks.mask, 1)
    part_numbers = [_assign(np.random.default_rng([seed, 0x5911]), group, train, validation) for seed in seeds]
    return {name: _pad_rows([number_of_row == number for number_of_row in part_numbers], tasks, name, seeds)
            for number, name in enumerate(('train', 'validation', 'test'))}


def _assign(rng, group, train, validation):
    """The number of its part for each row [n]."""
    part = np.full(len(group), -1)
    for number in np.unique(group):
        rows = rng.permutation(np.flatnonzero(group == number))
        train_count = round(train * len(rows))
        validation_count = round(validation * train_count)
        part[rows[:validation_count]], part[rows[validation_count:train_count]], part[rows[train_count:]] = 1, 0, 2
    return part


def _pad_rows(selections, tasks, name, seeds):
    """The Part of the rows that selections bool [S][n] select."""
    rows = [[np.flatnonzero(one & has_label) for has_label in tasks.mask.T] for one in selections]
    count = np.array([[len(task_rows) for task_rows in of_seed] for of_seed in rows], np.int32)
    if not count.all():
        seed, task = np.argwhere(count == 0)[0]
        raise UserError(f'task {tasks.names[task]!r} has {counted(int(tasks.mask[:, task].sum()), "label")}, none of them in the '
                        f'{name} part of seed '
                        f'{seeds[seed]}; leave it out or change config.multitask.train or .validation')
    index = np.zeros((*count.shape, count.max()), np.int32)
    for seed, task in np.ndindex(*count.shape):
        index[seed, task, :count[seed, task]] = rows[seed][task]
    return Part(index=index, count=count)
