"""What a run says of test rows that lack a class."""
from collections.abc import Mapping, Sequence

import numpy as np

from transfer_jax.experiment.scores.metrics import NEED_ALL_CLASSES
from transfer_jax.runtime.counts import counted


def absent_classes(parts: Mapping[str, Sequence[np.ndarray]], classes: Sequence[str] | None, metrics: Sequence[str],
                   what: str) -> tuple[str, ...]:
    """A line, or none: which test rows lack a class, and what that is to the scores `metrics`.

    parts: {name of a target or task: labels [m] of the test rows of each seed}. what: 'target' or 'task'.
    """
    names = [name for name in metrics if name in NEED_ALL_CLASSES]
    if classes is None or not names:
        return ()
    lacking = [(name, seed, number) for name, of_seeds in parts.items() for seed, labels in enumerate(of_seeds)
               for number in np.flatnonzero(np.bincount(labels, minlength=len(classes)) == 0)[:1]]
    if not lacking:
        return ()
    name, seed, number = lacking[0]
    return (f'test rows of {len({entry[0] for entry in lacking})} of {counted(len(parts), what)} lack a class in some seed (first: {what} '
            f'{name!r}, seed number {seed}, class {classes[number]!r}): {", ".join(names)} there are of the classes that the rows have; '
            'auc and average_precision have no value where that is one, and means leave them out',)
