"""CAGrad: the best worst task within a ball around the mean gradient (Liu et al. 2021, arXiv:2110.14048)."""
import jax
import jax.numpy as jnp
from optax.projections import projection_simplex

from transfer_jax.experiment.multitask.methods.method import Method

ROUNDS = 100


@jax.jit
def worst_mixture(gram: jax.Array, c: float) -> jax.Array:
    """w [T] on the simplex that minimises w' gram 1 / T + c |g_0| sqrt(w' gram w), g_0 the mean gradient: the dual problem.

    Projected gradient steps with a length that halves where the quadratic bound fails; convex, so there is one minimum.
    """
    scale = jnp.maximum(jnp.mean(jnp.diagonal(gram)), 1e-30)
    gram = gram / scale
    mean = jnp.mean(gram, 1)
    radius = c * jnp.sqrt(jnp.maximum(jnp.mean(mean), 0))
    value = lambda w: w @ mean + radius * jnp.sqrt(w @ gram @ w + 1e-10)

    def step(_, carry):
        w, length = carry
        now, slope = jax.value_and_grad(value)(w)
        with jax.numpy_dtype_promotion('standard'):  # optax divides by an int32 count
            new = projection_simplex(w - length * slope)
        change = new - w
        fine = value(new) <= now + slope @ change + change @ change / (2 * length) + 1e-7 * jnp.abs(now)
        return jnp.where(fine, new, w), jnp.where(fine, 1.5 * length, length / 2)

    start = jnp.full(len(gram), 1 / len(gram), gram.dtype)
    return jax.lax.fori_loop(0, ROUNDS, step, (start, jnp.ones((), gram.dtype)))[0]


def cagrad(c: float = 0.4) -> Method:
    """T (g_0 + c |g_0| g_w / |g_w|); heads follow their own gradient. c = 0 is equal weights, a large c MGDA's direction."""
    def combine(state, losses, grads, key):
        worst = worst_mixture(grads @ grads.T, c) @ grads
        mean = jnp.mean(grads, 0)
        along = c * jnp.linalg.norm(mean) / jnp.maximum(jnp.linalg.norm(worst), 1e-12)
        return len(losses) * (mean + along * worst), jnp.ones_like(losses), state
    return Method(combine=combine, gradients=True)
