"""Between UOWQ, which takes every sample, and OTQMS, which takes few: the best weights and quantities for a given budget of samples."""
import functools

import jax
import jax.numpy as jnp

from transfer_jax.weights import source_weights

ROUNDS = 300
LEAST = 1e-4   # smallest part of a source's samples during the iterations: a source at 0 could not return


@functools.partial(jax.jit, static_argnames='rounds')
@jax.default_matmul_precision('highest')
def budgeted_weights(target_size, source_sizes, gram, budget, costs=None, rounds=ROUNDS):
    """The Solution that minimises F over weights and quantities under sum_k c_k n_k <= budget, 0 <= n <= N.

    With shares v of the loss, F = v0^2 / N0 + sum_k v_k^2 / n_k + v'G v is convex in (v, n) together. Alternately n = min(N, z v /
    sqrt(c)), z by the budget, which is best for these v, and v by source_weights for these n; `residual` is what F still fell by in the
    last round, as a part of it. target_size [...], source_sizes [..., K], gram [..., K, K], budget [...] in units of costs [..., K] (1
    each if None). Raises ValueError where shapes do not go together.
    """
    costs = jnp.ones_like(source_sizes) if costs is None else jnp.broadcast_to(costs, source_sizes.shape)
    share = jnp.minimum(budget / jnp.maximum(jnp.sum(costs * source_sizes, -1), 1e-30), 1.0)
    min_spent = LEAST * share[..., None] * source_sizes

    def better(_, state):
        n, error, _ = state
        solution = source_weights(target_size, n, gram)
        n = jnp.maximum(spent(solution.effective_sizes, source_sizes, budget, costs), min_spent)
        return n, solution.error, error
    start = share[..., None] * source_sizes, jnp.full(share.shape, jnp.inf), jnp.full(share.shape, jnp.inf)
    n, error, before = jax.lax.fori_loop(0, rounds, better, start)
    n = jnp.where(n > 2 * min_spent, n, 0)
    solution = source_weights(target_size, n, gram)
    return solution.replace(quantities=n, residual=jnp.maximum((before - error) / error, 0), weights=jnp.where(n > 0, solution.weights, 0))


def spent(u, sizes, budget, costs):
    """n [..., K] = min(N, z u / sqrt(c)) with z such that sum c n is the budget, or all there is: least sum u^2 / n."""
    wish = u / jnp.sqrt(costs)
    at = jnp.where(wish > 0, sizes / jnp.where(wish > 0, wish, 1), jnp.inf)  # from this z on all samples of a source are used
    z = jnp.sort(at, -1)
    cost = jnp.sum(costs[..., None, :] * _upto(z, wish, sizes), -1)  # the cost at each of these z
    full = jnp.sum(jnp.where(cost <= budget[..., None], 1, 0), -1, keepdims=True)
    used_up = jnp.argsort(jnp.argsort(at, -1), -1) < full
    rest = budget - jnp.sum(jnp.where(used_up, costs * sizes, 0), -1)
    slope = jnp.sum(jnp.where(used_up, 0, costs * wish), -1)
    level = jnp.where(slope > 0, rest / jnp.where(slope > 0, slope, 1), 0)
    return jnp.where(used_up & (wish > 0), sizes, jnp.minimum(level[..., None] * wish, sizes))


def _upto(z, wish, sizes):
    """min(N, z wish) [..., Z, K] for every z [..., Z]."""
    finite = jnp.where(jnp.isfinite(z), z, 0)[..., :, None] * wish[..., None, :]
    return jnp.where(jnp.isfinite(z)[..., :, None], jnp.minimum(finite, sizes[..., None, :]), jnp.where(wish > 0, sizes, 0)[..., None, :])
