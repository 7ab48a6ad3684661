"""FAMO: all losses fall at one relative rate, without their gradients (Liu et al. 2023, arXiv:2306.03792)."""
import jax
import jax.numpy as jnp

from transfer_jax.experiment.multitask.methods.method import Method


def famo(learning_rate: float = 0.025, decay: float = 0.001) -> Method:
    """weights z_t / L_t over their sum, z = softmax(xi); xi follows how much less each log L_t fell.

    xi -= learning_rate (delta + decay xi), delta = (dz/dxi)' (log L before - log L after). The losses of the next call
    stand for those after the step: exact for whole batches.
    The weights are scaled to a mean of 1. Needs positive losses, as squared errors and cross-entropies are.
    """
    def init(tasks):
        return {'xi': jnp.zeros(tasks), 'before': jnp.full(tasks, jnp.nan)}

    def combine(state, losses, grads, key):
        logs = jnp.log(losses + 1e-8)
        decrease = jnp.where(jnp.isnan(state['before']), 0, state['before'] - logs)
        pullback = jax.vjp(jax.nn.softmax, state['xi'])[1]
        xi = state['xi'] - learning_rate * (pullback(decrease)[0] + decay * state['xi'])
        weights = jax.nn.softmax(xi) * jnp.exp(-logs)
        return None, weights * len(weights) / jnp.sum(weights), {'xi': xi, 'before': logs}
    return Method(init=init, combine=combine)
