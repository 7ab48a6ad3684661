"""Scores of predictions over all examples of a part and by task, of outputs that devices compute."""
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from transfer_jax.experiment.multitask import network
from transfer_jax.experiment.multitask.material import PER_SEED, rows_of
from transfer_jax.experiment.multitask.splits import Part
from transfer_jax.experiment.multitask.tasks import Tasks
from transfer_jax.experiment.scores.calibration import calibration
from transfer_jax.experiment.scores.classes import answers, rarer
from transfer_jax.experiment.scores.metrics import score
from transfer_jax.experiment.scores.summary import mean_and_error


def outputs_of(shared: bool) -> Callable[..., jax.Array]:
    """A jitted function(params, material, part) -> [S, T, m, outputs]: logits, or values in the labels' own unit."""
    def one(params, material, part):
        inputs, labels, _ = rows_of(material, part.index, part.count)
        axes = {'trunk': None if shared else 0, 'heads': 0}
        outputs = jax.vmap(lambda p, x: network.features(p['trunk'], x) @ p['heads'], (axes, 0))(params, inputs)
        return outputs if jnp.issubdtype(labels.dtype, jnp.integer) else outputs * material.unit + material.middle
    return jax.jit(jax.vmap(one, (0, PER_SEED, 0)))


def labels_of(tasks: Tasks, part: Part) -> list[list[np.ndarray]]:
    """[S][T] labels [m] of a part's rows, in the order of the rows."""
    return [[tasks.labels[rows[here], task] for task, (rows, here) in enumerate(zip(index, has_label, strict=True))]
            for index, has_label in zip(part.index, part.label_mask(), strict=True)]


def trimmed(outputs: np.ndarray, part: Part) -> list[list[np.ndarray]]:
    """[S][T] outputs [m, outputs] of a part's rows, without padding."""
    return [[of_task[:count] for of_task, count in zip(of_seed, counts, strict=True)]
            for of_seed, counts in zip(np.asarray(outputs), np.asarray(part.count), strict=True)]


def over_all(outputs: list[list[np.ndarray]], labels: list[list[np.ndarray]], names: Sequence[str],
             positive: int | None) -> list[dict[str, float | None]]:
    """{score: value} of every seed [S], over the examples of all tasks."""
    return [score(np.concatenate(out), np.concatenate(of_seed), names, positive) for out, of_seed in zip(outputs, labels, strict=True)]


def test_scores(tasks: Tasks, part: Part, outputs: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """{'test', 'test_by_task': [S] of the first score, 'scores': {score: the same two}, 'calibration'} of outputs [S, T, m, outputs]."""
    outputs, labels, positive = trimmed(outputs, part), labels_of(tasks, part), positive_of(tasks)
    whole = over_all(outputs, labels, names, positive)
    of_tasks = [[score(*pair, names, positive) for pair in zip(out, of_seed, strict=True)]
                for out, of_seed in zip(outputs, labels, strict=True)]
    mean = lambda name, of_seed: mean_and_error([one[name] for one in of_seed])[0]
    scores = {name: {'test': [one[name] for one in whole], 'test_by_task': [mean(name, of_seed) for of_seed in of_tasks]} for name in names}
    bins = None if positive is None else [answers(np.concatenate(out), np.concatenate(own), positive).bins
                                          for out, own in zip(outputs, labels, strict=True)]
    return {**scores[names[0]], 'scores': scores, 'calibration': bins and calibration(bins)}


def positive_of(tasks: Tasks) -> int | None:
    """The class by which two are scored: the rarer one of all tasks' labels; None for a regression."""
    return None if tasks.classes is None else rarer(tasks.labels[tasks.mask], len(tasks.classes))
