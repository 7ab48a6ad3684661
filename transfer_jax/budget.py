"""Between UOWQ, which takes every sample, and OTQMS, which takes few: the best weights and quantities for a given budget of samples."""
import functools

import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike, Float, Num

from transfer_jax.solver.solution import Solution
from transfer_jax.weights import source_weights

ROUNDS = 300
MIN_SHARE = 1e-4  # smallest part of a source's samples during the iterations: a source at 0 could not return


@functools.partial(jax.jit, static_argnames='rounds')
@jax.default_matmul_precision('highest')
def budgeted_weights(target_size: Num[ArrayLike, '*#batch'], source_sizes: Num[ArrayLike, '*#batch k'],
                     gram: Float[ArrayLike, '*#batch k k'], budget: Num[ArrayLike, '*#batch'],
                     costs: Num[ArrayLike, '*#batch k'] | None = None, rounds: int = ROUNDS) -> Solution:
    """The Solution that minimises F over weights and quantities under sum_k c_k n_k <= budget, 0 <= n <= N.

    With shares v of the loss, F = v0^2 / N0 + sum_k v_k^2 / n_k + v'G v is convex in (v, n) together. Alternately n = min(N, z v /
    sqrt(c)), z by the budget, which is best for these v, and v by source_weights for these n; `residual` is the relative decrease of F in
    the last round. target_size [...], source_sizes [..., K], gram [..., K, K], budget [...] in units of costs [..., K] (1
    each if None). Raises ValueError where shapes do not go together.
    """
    costs = jnp.ones_like(source_sizes) if costs is None else jnp.broadcast_to(costs, source_sizes.shape)
    share = jnp.minimum(budget / jnp.maximum(jnp.sum(costs * source_sizes, -1), 1e-30), 1.0)
    min_spent = MIN_SHARE * share[..., None] * source_sizes

    def improve(_, state):
        n, error, _ = state
        solution = source_weights(target_size, n, gram)
        n = jnp.maximum(allocate(solution.effective_sizes, source_sizes, budget, costs), min_spent)
        return n, solution.error, error
    start = share[..., None] * source_sizes, jnp.full_like(share, jnp.inf), jnp.full_like(share, jnp.inf)
    n, error, before = jax.lax.fori_loop(0, rounds, improve, start)
    n = jnp.where(n > 2 * min_spent, n, 0)
    solution = source_weights(target_size, n, gram)
    return solution.replace(quantities=n, residual=jnp.maximum((before - error) / error, 0), weights=jnp.where(n > 0, solution.weights, 0))


def allocate(u: jax.Array, sizes: jax.Array, budget: jax.Array, costs: jax.Array) -> jax.Array:
    """n [..., K] that minimises sum u^2 / n within the budget: min(N, z u / sqrt(c)), z such that sum c n is the budget or n = N.

    u, sizes, costs [..., K], budget [...].
    """
    ratio = u / jnp.sqrt(costs)
    full_at = jnp.where(ratio > 0, sizes / jnp.where(ratio > 0, ratio, 1), jnp.inf)  # from this z on n is N
    z = jnp.sort(full_at, -1)
    cost = jnp.sum(costs[..., None, :] * _quantities(z, ratio, sizes), -1)  # the cost at each of these z
    count = jnp.sum(jnp.where(cost <= budget[..., None], 1, 0), -1, keepdims=True)
    full = jnp.argsort(jnp.argsort(full_at, -1), -1) < count
    rest = budget - jnp.sum(jnp.where(full, costs * sizes, 0), -1)
    slope = jnp.sum(jnp.where(full, 0, costs * ratio), -1)
    level = jnp.where(slope > 0, rest / jnp.where(slope > 0, slope, 1), 0)
    return jnp.where(full & (ratio > 0), sizes, jnp.minimum(level[..., None] * ratio, sizes))


def _quantities(z, ratio, sizes):
    """min(N, z ratio) [..., Z, K] for every z [..., Z]."""
    finite = jnp.where(jnp.isfinite(z), z, 0)[..., :, None] * ratio[..., None, :]
    return jnp.where(jnp.isfinite(z)[..., :, None], jnp.minimum(finite, sizes[..., None, :]), jnp.where(ratio > 0, sizes, 0)[..., None, :])
