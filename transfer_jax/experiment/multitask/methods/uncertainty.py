"""Weights from learned noise levels (Kendall, Gal and Cipolla 2018, arXiv:1705.07115)."""
import jax.numpy as jnp

from transfer_jax.experiment.multitask.methods.method import Method


def uncertainty(learning_rate: float = 0.025) -> Method:
    """Minimises sum_t (exp(-s_t) L_t + s_t) / 2 over the log-variances s too, by gradient steps of `learning_rate`; weights exp(-s_t).

    At its optimum s_t = log L_t: every task then weighs the same in relative terms.
    """
    def combine(state, losses, grads, key):
        return None, jnp.exp(-state), state - learning_rate * (1 - jnp.exp(-state) * losses) / 2
    return Method(init=lambda tasks: jnp.zeros(tasks), combine=combine)
