"""Scores of predictions: explained variance or accuracy, over all examples and by task."""
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from transfer_jax.experiment.multitask import network
from transfer_jax.experiment.multitask.material import PER_SEED, rows_of
from transfer_jax.experiment.multitask.splits import Part
from transfer_jax.experiment.multitask.tasks import Tasks


def errors_of(shared: bool) -> Callable[..., jax.Array]:
    """A jitted function(params, material, part) -> [S, T]: summed squared errors in the labels' own unit, or numbers of wrong classes."""
    def one(params, material, part):
        inputs, labels, has_label = rows_of(material, part.index, part.count)
        axes = {'trunk': None if shared else 0, 'heads': 0}
        outputs = jax.vmap(lambda p, x: network.features(p['trunk'], x) @ p['heads'], (axes, 0))(params, inputs)
        if jnp.issubdtype(labels.dtype, jnp.integer):
            return jnp.sum(has_label & (jnp.argmax(outputs, -1) != labels), 1).astype(jnp.float32)
        return jnp.sum(jnp.where(has_label, network.loss_per_example(outputs, labels), 0), 1) * material.unit**2
    return jax.jit(jax.vmap(one, (0, PER_SEED, 0)))


def worst_of(tasks: Tasks, part: Part) -> tuple[np.ndarray, np.ndarray]:
    """Errors [S, T] by task and [S] over all of predicting the part's own mean; for classes the numbers of examples."""
    by_task, over_all = np.zeros(part.count.shape), np.zeros(len(part.count))
    for seed, (index, has_label) in enumerate(zip(part.index, part.label_mask(), strict=True)):
        values = [tasks.labels[rows[here], t].astype(float) for t, (rows, here) in enumerate(zip(index, has_label, strict=True))]
        size = len if tasks.classes is not None else lambda x: len(x) * np.var(x)
        by_task[seed], over_all[seed] = [size(x) for x in values], size(np.concatenate(values))
    return by_task, over_all


def measure(errors: jax.Array, worst: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """([S] over all examples, [S] mean over tasks): explained variance 1 - errors / worst, or accuracy. Tasks without spread are left out.

    errors [S, T] of errors_of, worst of worst_of.
    """
    by_task, over_all = worst
    share = np.divide(np.asarray(errors, float), by_task, out=np.full(by_task.shape, np.nan), where=by_task > 0)
    return 1 - np.asarray(errors, float).sum(1) / over_all, 1 - np.nanmean(share, 1)
