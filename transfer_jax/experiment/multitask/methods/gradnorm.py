"""GradNorm: weights that bring the tasks' gradients to one length (Chen et al. 2018, arXiv:1711.02257)."""
import jax.numpy as jnp

from transfer_jax.experiment.multitask.methods.method import Method


def gradnorm(alpha: float = 1.5, learning_rate: float = 0.025) -> Method:
    """One gradient step on sum_t | w_t |g_t| - mean_k(w_k |g_k|) r_t^alpha |, the target a constant, then sum w = T.

    r_t is the loss over that of the first step, relative to the tasks' mean: slow tasks get longer gradients. g_t: of the whole trunk.
    The step is taken with |g| over its mean, so that `learning_rate` has no unit.
    """
    def init(tasks):
        return {'weights': jnp.ones(tasks), 'first': jnp.full(tasks, jnp.nan)}

    def combine(state, losses, grads, key):
        weights, first = state['weights'], jnp.where(jnp.isnan(state['first']), losses, state['first'])
        direction = weights @ grads
        norms = jnp.linalg.norm(grads, axis=1)
        norms = norms / jnp.maximum(jnp.mean(norms), 1e-12)
        pace = losses / jnp.maximum(first, 1e-12)
        pace = pace / jnp.maximum(jnp.mean(pace), 1e-12)
        excess = weights * norms - jnp.mean(weights * norms) * pace**alpha
        new_weights = jnp.maximum(weights - learning_rate * jnp.sign(excess) * norms, 1e-3)
        return direction, weights, {'weights': new_weights * len(new_weights) / jnp.sum(new_weights), 'first': first}
    return Method(init=init, combine=combine, gradients=True)
