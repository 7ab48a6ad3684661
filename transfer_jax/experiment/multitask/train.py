"""The training of every method: segments of a jitted scan of steps, for all seeds at once."""
import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from transfer_jax.experiment.multitask import network
from transfer_jax.experiment.multitask.material import PER_SEED, Material, draw_rows, rows_of
from transfer_jax.experiment.multitask.methods.method import Method
from transfer_jax.experiment.multitask.quadratics import quadratics
from transfer_jax.experiment.multitask.splits import Part
from transfer_jax.runtime.keys import stream_key

SEGMENTS = 10  # of a training: after each the model is scored, before each W may be solved again


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """hidden: widths of the trunk, () for none. steps: a multiple of SEGMENTS. batch: rows a task and step, drawn with replacement; None:
    all of them. learning_rate: of Adam at step 0."""
    hidden: tuple[int, ...]
    steps: int
    batch: int | None
    learning_rate: float


def descent(method: Method, params: Any, state: Any, weights: jax.Array, rows: tuple[jax.Array, ...], counts: jax.Array,
            key: jax.Array) -> tuple[Any, Any]:
    """(gradient like params, the method's state) of a step's rows of material.rows_of. The trunk's gradient is divided by T."""
    tasks = len(counts)
    if method.gradients:
        losses, (by_trunk, by_head) = jax.vmap(jax.value_and_grad(network.task_loss, (0, 1)), (None, 0, 0, 0, 0))(
            params['trunk'], params['heads'], *rows)
        grads = jax.vmap(lambda tree: ravel_pytree(tree)[0], axis_size=tasks)(by_trunk)
        direction, factors, state = method.combine(state, losses, grads, key)
        return {'trunk': ravel_pytree(params['trunk'])[1](direction / tasks), 'heads': factors[:, None, None] * by_head}, state

    def losses_of(params):
        if method.mixture is None:
            return network.own_losses(params, *rows, shared=method.shared)
        return network.weighted_losses(network.cross_losses(params, *rows), weights, counts)
    losses, pullback = jax.vjp(losses_of, params)
    _, factors, state = method.combine(state, losses, None, key)
    gradient = pullback(factors)[0]
    return gradient | {'trunk': jax.tree.map(lambda g: g / tasks if method.shared else g, gradient['trunk'])}, state


def add_decay(gradient: Any, params: Any, decay: jax.Array) -> Any:
    """gradient plus that of decay / 2 times the squares of all weights; biases do not decay."""
    trunk = [g | {'kernel': g['kernel'] + decay * p['kernel']} for g, p in zip(gradient['trunk'], params['trunk'], strict=True)]
    heads = gradient['heads'].at[:, :-1].add(decay * params['heads'][:, :-1])
    return {'trunk': trunk, 'heads': heads}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trainer:
    """Three programs of one method, each compiled once for all S seeds; every array of a seed has a leading axis S.

    start(seeds [S]) -> carry = (params, optimizer's state, method's state, step). advance(carry, W, seeds, material, part, decay) -> carry
    after the steps of a segment. solve(carry, material, part) -> W [S, T, T].
    """
    start: Callable[[jax.Array], Any]
    advance: Callable[..., Any]
    solve: Callable[[Any, Material, Part], jax.Array]


def make_trainer(method: Method, settings: Settings, size: int, tasks: int, outputs: int) -> Trainer:
    """The Trainer of a Method, for `size` inputs, tasks T and outputs a head."""
    length = settings.steps // SEGMENTS
    optimizer = optax.adam(optax.cosine_decay_schedule(settings.learning_rate, length * SEGMENTS, 0.01))

    def start(seed):
        params = network.init_params(stream_key(seed, 'multitask init'), size, settings.hidden, tasks, outputs, method.shared)
        return params, optimizer.init(params), method.init(tasks), jnp.int32(0)

    def advance(carry, weights, seed, material, part, decay):
        counts = part.count.astype(jnp.float32)

        def step(carry, _):
            params, moments, state, number = carry
            rows = rows_of(material, *draw_rows(part, settings.batch, stream_key(seed, 'multitask batch', number)))
            key = stream_key(seed, 'multitask method', number)
            gradient, state = descent(method, params, state, weights, rows, counts, key)
            with jax.numpy_dtype_promotion('standard'):  # optax counts in int32 and decays in float32
                change, moments = optimizer.update(add_decay(gradient, params, decay), moments)
            return (optax.apply_updates(params, change), moments, state, number + 1), None
        return jax.lax.scan(step, carry, length=length)[0]

    def solve(carry, material, part):
        return method.mixture(quadratics(carry[0], *rows_of(material, part.index, part.count)))

    return Trainer(start=jax.jit(jax.vmap(start)), advance=jax.jit(jax.vmap(advance, (0, 0, 0, PER_SEED, 0, None)), donate_argnums=0),
                   solve=jax.jit(functools.partial(_by_seed, solve)))


def _by_seed(solve, carry, material, part):
    """solve, seed after seed: the T problems of one seed fill the machine, and the memory is that of one seed."""
    def one(of_seed):
        carry, part, *numbers = of_seed
        return solve(carry, Material(material.inputs, material.labels, *numbers), part)
    return jax.lax.map(one, (carry, part, material.shift, material.scale, material.middle, material.unit))
