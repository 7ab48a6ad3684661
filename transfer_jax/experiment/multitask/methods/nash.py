"""Nash-MTL: the tasks' bargaining solution (Navon et al. 2022, arXiv:2202.01017)."""
import jax
import jax.numpy as jnp

from transfer_jax.experiment.multitask.methods.method import Method

ROUNDS = 20
RIDGE = 1e-6  # of the mean squared norm: without it opposed gradients would have no solution


@jax.jit
def bargain(gram: jax.Array, start: jax.Array) -> jax.Array:
    """alpha [T] > 0 with gram alpha = 1 / alpha, gram [T, T] of mean diagonal near 1, from a positive start.

    The minimum of alpha' gram alpha / 2 - sum log alpha, self-concordant: Newton's method damped by 1 / (1 + its decrement) converges
    from any start.
    """
    gram = gram + RIDGE * jnp.eye(len(gram), dtype=gram.dtype)

    def newton(_, alpha):
        slope = gram @ alpha - 1 / alpha
        step = jnp.linalg.solve(alpha[:, None] * gram * alpha[None] + jnp.eye(len(gram), dtype=gram.dtype), alpha * slope)
        decrement = jnp.sqrt(jnp.maximum(step @ (alpha * slope), 0))
        return alpha * (1 - step / jnp.where(decrement > 0.25, 1 + decrement, 1))

    return jax.lax.fori_loop(0, ROUNDS, newton, start)


def nash() -> Method:
    """alpha @ grads for the trunk; heads weigh alpha over its mean. Each step starts at the last one's alpha."""
    def combine(state, losses, grads, key):
        gram = grads @ grads.T
        scale = jnp.mean(jnp.diagonal(gram))
        alpha = bargain(gram / jnp.where(scale > 0, scale, 1), state)
        alpha = jnp.where(jnp.isfinite(alpha).all() & (scale > 0), alpha, 1)
        return alpha @ grads / jnp.sqrt(jnp.where(scale > 0, scale, 1)), alpha / jnp.mean(alpha), alpha
    return Method(init=lambda tasks: jnp.ones(tasks), combine=combine, gradients=True)
