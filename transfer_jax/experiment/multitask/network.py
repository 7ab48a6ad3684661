"""A trunk that tasks share and a head for each task, as pure functions; and the losses of every head on every task."""
import itertools
from typing import Any

import jax
import jax.numpy as jnp


def init_params(key: jax.Array, size: int, hidden: tuple[int, ...], tasks: int, outputs: int, shared: bool = True) -> dict[str, Any]:
    """{'trunk': [{'kernel', 'bias'}, ...], 'heads': [T, width + 1, outputs]}; a head's last row is its bias.

    All heads start alike, so tasks only differ by their data. Without hidden widths the heads stand on the inputs: T linear models.
    shared False gives every task a trunk of its own, with a leading axis T.
    """
    trunk, widths = [], (size, *hidden)
    for number, (before, after) in enumerate(itertools.pairwise(widths)):
        kernel = jax.random.normal(jax.random.fold_in(key, number), (before, after)) / before**0.5
        trunk.append({'kernel': kernel, 'bias': jnp.zeros(after)})
    head = jax.random.normal(jax.random.fold_in(key, len(hidden)), (widths[-1], outputs)) / widths[-1] ** 0.5
    head = jnp.concatenate([head, jnp.zeros((1, outputs))]) * (0.1 if hidden else 0.0)
    repeat = lambda leaf: jnp.broadcast_to(leaf, (tasks, *leaf.shape))
    return {'trunk': trunk if shared else jax.tree.map(repeat, trunk), 'heads': repeat(head)}


def features(trunk: Any, inputs: jax.Array) -> jax.Array:
    """The heads' inputs [..., width + 1] of standardised inputs [..., size]; the last feature is 1."""
    for layer in trunk:
        inputs = jnp.tanh(jnp.dot(inputs, layer['kernel']) + jnp.expand_dims(layer['bias'], range(inputs.ndim - 1)))
    return jnp.concatenate([inputs, jnp.ones_like(inputs[..., :1])], -1)


def loss_per_example(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """[...] of outputs [..., o] and labels [...]: cross-entropy of integer labels, else squared error of outputs [..., 1]."""
    if jnp.issubdtype(labels.dtype, jnp.integer):
        return -jnp.take_along_axis(jax.nn.log_softmax(outputs), labels[..., None], -1)[..., 0]
    return (outputs[..., 0] - labels) ** 2


def task_loss(trunk: Any, head: jax.Array, inputs: jax.Array, labels: jax.Array, has_label: jax.Array) -> jax.Array:
    """The mean loss of one task: its head [h, o] on its inputs [b, size], labels [b], has_label bool [b]."""
    losses = loss_per_example(features(trunk, inputs) @ head, labels)
    return jnp.sum(jnp.where(has_label, losses, 0)) / jnp.maximum(jnp.sum(has_label, dtype=losses.dtype), 1)


def own_losses(params: Any, inputs: jax.Array, labels: jax.Array, has_label: jax.Array, shared: bool = True) -> jax.Array:
    """[T]: task_loss of every task, inputs [T, b, size]."""
    return jax.vmap(task_loss, (None if shared else 0, 0, 0, 0, 0))(params['trunk'], params['heads'], inputs, labels, has_label)


def cross_losses(params: Any, inputs: jax.Array, labels: jax.Array, has_label: jax.Array) -> jax.Array:
    """[T, T]: entry (t, k) is the mean loss of head t on task k's examples; the arguments are own_losses'.

    The squared error of linear heads needs a task's second moments only: h' S h - 2 h' r + q, exactly.
    """
    hidden, count = features(params['trunk'], inputs), jnp.maximum(jnp.sum(has_label, 1, dtype=jnp.float32), 1)
    if jnp.issubdtype(labels.dtype, jnp.integer):
        def one(head):
            losses = loss_per_example(hidden @ head, labels)
            return jnp.sum(jnp.where(has_label, losses, 0), 1) / count
        return jax.lax.map(one, params['heads'])
    hidden, heads = jnp.where(has_label[..., None], hidden, 0), params['heads'][..., 0]
    second, first = jnp.einsum('kbi,kbj->kij', hidden, hidden), jnp.einsum('kbi,kb->ki', hidden, labels)
    square = jnp.sum(jnp.where(has_label, labels**2, 0), 1)
    pairs = (heads[:, :, None] * heads[:, None, :]).reshape(len(heads), -1)
    return (pairs @ second.reshape(len(second), -1).T - 2 * heads @ first.T + square[None]) / count[None]


def weighted_losses(losses: jax.Array, weights: jax.Array, counts: jax.Array) -> jax.Array:
    """L_t = sum_k W[t, k] n_k l_tk / sum_k W[t, k] n_k of mean losses l [T, T], weights W [T, T] and counts n [T]: [T]."""
    effective = weights * counts[None]
    return jnp.sum(effective * losses, 1) / jnp.sum(effective, 1)
