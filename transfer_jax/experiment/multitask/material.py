"""Material: the arrays of all tasks with what standardises them, one set a seed; and the rows of a part or of a step."""
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from transfer_jax.experiment.multitask.splits import Part
from transfer_jax.experiment.multitask.tasks import Tasks


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Material:
    """inputs [n, size] and labels [n, T]; with a leading axis of seeds: shift and scale [size] of inputs, middle and unit of labels."""
    inputs: jax.Array
    labels: jax.Array
    shift: jax.Array
    scale: jax.Array
    middle: jax.Array
    unit: jax.Array


PER_SEED = Material(inputs=None, labels=None, shift=0, scale=0, middle=0, unit=0)  # the axes of seeds, for vmap


def make_material(tasks: Tasks, part: Part) -> Material:
    """The Material of Tasks, standardised by the rows of a training Part alone; a constant input becomes 0, labels of classes stay."""
    inputs = tasks.inputs.reshape(len(tasks.inputs), -1)
    numbers = {'shift': [], 'scale': [], 'middle': [], 'unit': []}
    for index, has_label in zip(part.index, part.label_mask(), strict=True):
        rows, columns = index[has_label], np.nonzero(has_label)[0]
        spread, values = inputs[rows].std(0, dtype=float), tasks.labels[rows, columns]
        numbers['shift'].append(inputs[rows].mean(0, dtype=float))
        numbers['scale'].append(np.where(spread > 1e-6, spread, 1))
        numbers['middle'].append(values.mean(dtype=float) if tasks.classes is None else 0)
        numbers['unit'].append(max(values.std(dtype=float), 1e-12) if tasks.classes is None else 1)
    labels = np.where(tasks.mask, tasks.labels, 0)
    return Material(jnp.asarray(inputs), jnp.asarray(labels), **{name: jnp.asarray(x, jnp.float32) for name, x in numbers.items()})


def rows_of(material: Material, index: jax.Array, count: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """(inputs [T, m, size], labels [T, m], has_label [T, m]) of one seed's rows index [T, m], of which the first count [T] hold a row."""
    inputs = (material.inputs[index] - material.shift[None, None]) / material.scale[None, None]
    labels = material.labels[index, jnp.arange(len(index))[:, None]]
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        labels = (labels - material.middle) / material.unit
    return inputs, labels, jnp.arange(index.shape[1])[None] < count[:, None]


def draw_rows(part: Part, batch: int | None, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The index [T, batch] and count [T] of a step's rows, drawn with replacement; all rows of the part if batch is None."""
    if batch is None:
        return part.index, part.count
    places = jax.random.randint(key, (len(part.count), batch), 0, part.count[:, None])
    return jnp.take_along_axis(part.index, places, 1), jnp.full_like(part.count, batch)
