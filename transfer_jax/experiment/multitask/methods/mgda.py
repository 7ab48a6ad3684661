"""MGDA: the shortest vector in the gradients' convex hull (Sener and Koltun 2018, arXiv:1810.04650)."""
import jax
import jax.numpy as jnp

from transfer_jax.experiment.multitask.methods.method import Method
from transfer_jax.weights import source_weights

RIDGE = 1e-6  # of the largest squared norm


def min_norm(gram: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(v [T] on the simplex that minimises v' gram v, residual): the problem of the sources' weights with equal, tiny variances.

    argmin over the simplex is u / sum u of u = argmin_{u >= 0} u' (gram + ridge I) u / 2 - 1'u, which source_weights solves by pivoting,
    with its optimality conditions' residual as the certificate. Where gram is zero v is 1 / T.
    """
    scale = jnp.max(jnp.diagonal(gram))
    gram = gram / jnp.where(scale > 0, scale, 1)
    solution = source_weights(jnp.ones((), gram.dtype), jnp.full(len(gram), 1 / RIDGE, gram.dtype), gram)
    u = jnp.where(jnp.isfinite(solution.effective_sizes), solution.effective_sizes, 1)
    return u / jnp.sum(u), solution.residual


def mgda() -> Method:
    """T times the min-norm point as the trunk's direction, so that its length is a sum's; heads follow their own gradient."""
    def combine(state, losses, grads, key):
        return len(losses) * min_norm(grads @ grads.T)[0] @ grads, jnp.ones_like(losses), state
    return Method(combine=combine, gradients=True)
