"""The one training loop of all methods: segments of one jitted scan of steps, for all seeds at once."""
import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

from transfer_jax.experiment.multitask import network
from transfer_jax.experiment.multitask.quadratics import quadratics
from transfer_jax.runtime.keys import stream_key

SEGMENTS = 10  # of a training: between them W may be solved again, and the model is scored


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """hidden: widths of the trunk, () for none. steps: a multiple of SEGMENTS. batch: rows a task and step, drawn with replacement;

    None: all of them.
    """
    hidden: tuple[int, ...]
    steps: int
    batch: int | None
    learning_rate: float


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


PER_SEED = Material(inputs=None, labels=None, shift=0, scale=0, middle=0, unit=0)


def material(tasks, part):
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


def rows_of(material, index, count):
    """(inputs [T, m, size], labels [T, m], has_label [T, m]) of one seed's rows index [T, m], of which the first count [T] are meant."""
    inputs = (material.inputs[index] - material.shift[None, None]) / material.scale[None, None]
    labels = material.labels[index, jnp.arange(len(index))[:, None]]
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        labels = (labels - material.middle) / material.unit
    return inputs, labels, jnp.arange(index.shape[1])[None] < count[:, None]


def drawn(part, batch, key):
    """The index [T, batch] and count [T] of a step's rows; with batch None all of them."""
    if batch is None:
        return part.index, part.count
    places = jax.random.randint(key, (len(part.count), batch), 0, part.count[:, None])
    return jnp.take_along_axis(part.index, places, 1), jnp.full_like(part.count, batch)


def descent(method, params, state, weights, rows, counts, key):
    """(gradient like params, state): what the method makes of the losses of a step's rows. The trunk's is over the number of tasks."""
    tasks = len(counts)
    if method.gradients:
        losses, (by_trunk, by_head) = jax.vmap(jax.value_and_grad(network.task_loss, (0, 1)), (None, 0, 0, 0, 0))(
            params['trunk'], params['heads'], *rows)
        grads = jax.vmap(lambda tree: ravel_pytree(tree)[0], axis_size=tasks)(by_trunk)
        direction, used, state = method.combine(state, losses, grads, key)
        return {'trunk': ravel_pytree(params['trunk'])[1](direction / tasks), 'heads': used[:, None, None] * by_head}, state

    def losses_of(params):
        if method.mixture is None:
            return network.own_losses(params, *rows, shared=method.shared)
        return network.weighted_losses(network.cross_losses(params, *rows), weights, counts)
    losses, pullback = jax.vjp(losses_of, params)
    _, used, state = method.combine(state, losses, None, key)
    gradient = pullback(used)[0]
    return gradient | {'trunk': jax.tree.map(lambda g: g / tasks if method.shared else g, gradient['trunk'])}, state


def decayed(gradient, params, decay):
    """gradient plus that of decay / 2 times the squares of all weights, but not of biases."""
    trunk = [g | {'kernel': g['kernel'] + decay * p['kernel']} for g, p in zip(gradient['trunk'], params['trunk'], strict=True)]
    heads = gradient['heads'].at[:, :-1].add(decay * params['heads'][:, :-1])
    return {'trunk': trunk, 'heads': heads}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trainer:
    """start, advance and solve of one method, each compiled once for all seeds; functions of arrays with a leading axis of seeds."""
    start: Any
    advance: Any
    solve: Any


def trainer(method, settings, size, tasks, outputs):
    """The Trainer of a Method, for `size` inputs, tasks T and outputs a head.

    start(seeds [S]) -> carry = (params, optimiser's state, method's state, step). advance(carry, W, seeds, material, part, decay) ->
    carry after a segment of the steps. solve(carry, material, part) -> W [S, T, T].
    """
    length = settings.steps // SEGMENTS
    optimizer = optax.adam(optax.cosine_decay_schedule(settings.learning_rate, length * SEGMENTS, 0.01))

    def start(seed):
        params = network.init_params(stream_key(seed, 'multitask init'), size, settings.hidden, tasks, outputs, method.shared)
        return params, optimizer.init(params), method.init(tasks), jnp.int32(0)

    def advance(carry, weights, seed, material, part, decay):
        counts = part.count.astype(jnp.float32)

        def step(carry, _):
            params, moments, state, number = carry
            rows = rows_of(material, *drawn(part, settings.batch, stream_key(seed, 'multitask batch', number)))
            key = stream_key(seed, 'multitask method', number)
            gradient, state = descent(method, params, state, weights, rows, counts, key)
            with jax.numpy_dtype_promotion('standard'):  # optax counts in int32 and decays in float32
                change, moments = optimizer.update(decayed(gradient, params, decay), moments)
            return (optax.apply_updates(params, change), moments, state, number + 1), None
        return jax.lax.scan(step, carry, length=length)[0]

    def solve(carry, material, part):
        return method.mixture(quadratics(carry[0], *rows_of(material, part.index, part.count)))

    return Trainer(start=jax.jit(jax.vmap(start)), advance=jax.jit(jax.vmap(advance, (0, 0, 0, PER_SEED, 0, None)), donate_argnums=0),
                   solve=jax.jit(functools.partial(_by_seed, solve)))


def _by_seed(solve, carry, material, part):
    """solve of one seed after the other: T problems of T sources fill the machine already, and memory is that of one."""
    def one(own):
        carry, part, *numbers = own
        return solve(carry, Material(material.inputs, material.labels, *numbers), part)
    return jax.lax.map(one, (carry, part, material.shift, material.scale, material.middle, material.unit))
