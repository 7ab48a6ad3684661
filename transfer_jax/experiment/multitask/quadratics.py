"""Every task's log-likelihood as a quadratic in its head: the input of all estimates of the weights."""
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from transfer_jax.experiment.multitask import network


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Quadratics:
    """log L_k(h) = -(h' second_k h - 2 h' first_k + square_k) / (2 sigma^2) + const, for k of T tasks.

    second [T, d, d], first [T, d], counts [T]. square [T]: of a regression, whose sigma^2 is unknown; None for classes, where
    sigma^2 is 1 and the quadratic is the expansion at the current heads.
    """
    second: jax.Array
    first: jax.Array
    square: jax.Array | None
    counts: jax.Array


def quadratics(params: Any, inputs: jax.Array, labels: jax.Array, has_label: jax.Array) -> Quadratics:
    """The Quadratics of heads over the trunk's features: exact for squared errors, with Fisher information J_k = second / n for classes.

    Arguments as network.own_losses takes them. For classes the information is taken at params['heads'], its d is (width + 1) classes.
    """
    hidden = jnp.where(has_label[..., None], network.features(params['trunk'], inputs), 0)
    counts = jnp.sum(has_label, 1).astype(hidden.dtype)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        second, first = jnp.einsum('kbi,kbj->kij', hidden, hidden), jnp.einsum('kbi,kb->ki', hidden, labels)
        return Quadratics(second, first, jnp.sum(jnp.where(has_label, labels**2, 0), 1), counts)
    heads = params['heads']
    p = jax.nn.softmax(jnp.einsum('kbi,kic->kbc', hidden, heads))
    spread = p[..., None] * jnp.eye(p.shape[-1])[None, None] - p[..., None] * p[..., None, :]
    second = jnp.einsum('kbi,kbj,kbce->kicje', hidden, hidden, spread)
    score = jnp.einsum('kbi,kbc->kic', hidden, jax.nn.one_hot(labels, p.shape[-1]) - p)
    d = heads.shape[1] * heads.shape[2]
    flat = second.reshape(-1, d, d)
    return Quadratics(flat, score.reshape(-1, d) + jnp.einsum('kij,kj->ki', flat, heads.reshape(-1, d)), None, counts)
