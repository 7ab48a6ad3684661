"""PCGrad: conflicting gradients are projected off each other (Yu et al. 2020, arXiv:2001.06782)."""
import jax
import jax.numpy as jnp

from transfer_jax.experiment.multitask.methods.method import Method


@jax.jit
def project(gram: jax.Array, key: jax.Array) -> jax.Array:
    """The coefficient [T] of each gradient in the sum after projection; gram [T, T] = grads grads'.

    Row i of the mixture is gradient i after projection, as a combination of all gradients: where its product with gradient j is negative,
    its part along j is removed, for each j in a random order of i's own. Only products are needed: the cost does not grow with the number
    of parameters.
    """
    tasks = len(gram)
    order = jnp.argsort(jax.random.uniform(key, (tasks, tasks)), axis=1)
    rows, squares = jnp.arange(tasks), jnp.maximum(jnp.diagonal(gram), 1e-30)

    def against(number, carry):
        mixture, products = carry
        other = order[:, number]
        conflict = jnp.where(other == rows, 0, jnp.minimum(products[rows, other], 0)) / squares[other]
        return mixture.at[rows, other].add(-conflict), products - conflict[:, None] * gram[other]

    mixture, _ = jax.lax.fori_loop(0, tasks, against, (jnp.eye(tasks, dtype=gram.dtype), gram))
    return jnp.sum(mixture, 0)


def pcgrad() -> Method:
    """The sum of the gradients after projection; heads follow their own gradient."""
    def combine(state, losses, grads, key):
        return project(grads @ grads.T, key) @ grads, jnp.ones_like(losses), state
    return Method(combine=combine, gradients=True)
