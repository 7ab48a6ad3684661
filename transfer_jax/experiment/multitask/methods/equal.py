"""Equal weights, and the two bounds: every task on its own, and one model for all."""
import jax.numpy as jnp

from transfer_jax.experiment.multitask.methods.method import Method


def equal() -> Method:
    """The sum of the tasks' losses, over a trunk they share."""
    return Method()


def single() -> Method:
    """Every task on its own, with its own trunk."""
    return Method(shared=False)


def pooled() -> Method:
    """One model for all: W is all ones, so all heads have the same loss and the same start."""
    return Method(mixture=lambda quadratics: jnp.ones((quadratics.counts.shape[-1],) * 2), solve_at=(0.0,))
