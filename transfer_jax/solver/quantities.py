"""n* = argmin_{0 <= n <= N} F(n) of a batch of problems, by a primal-dual interior-point method on its convex form.

With T = N0 + sum N, p = N / T, p0 = N0 / T, Q = N G N / T, S = N0 + sum n, theta = T / S and x = theta n / N, F(n) T is

    theta + x'Q x   over   p0 theta + p'x = 1,  0 <= x <= theta

(the joint problem of arXiv:2502.04242; convex, and defined for N0 = 0). Flat directions (identical or opposed sources) do no harm: the
method ends at the centre of the optimal face.
"""
import functools

import jax
import jax.numpy as jnp
import numpy as np

from transfer_jax.solver.interior import Problem, first_point, gap, newton_step, select
from transfer_jax.solver.layout import FIRST, in_chunks

ROUNDS = 80
CHUNK = 128**2  # K^2 times the number of problems that are solved at once


@jax.custom_jvp
def optimal_quantities(target: jax.Array, sizes: jax.Array, gram: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """(n [B, K], residual [B], unfinished [B], rounds [B]) for N0 [B], N [B, K] and gram [B, K, K] in one float dtype.

    Differentiable: on the sources F with 0 < n < N, with c = 1/2 + n'G n / S, (G n)_F = c stays true, and n_k = N_k where it is.
    """
    return in_chunks(FIRST, _solve, max(1, CHUNK // sizes.shape[1]**2), target, sizes, gram)


def conditions(target: jax.Array, sizes: jax.Array, gram: jax.Array, n: jax.Array) -> jax.Array:
    """How far n is from optimal, [B]: with c = 1/2 + n'G n / S, (G n)_k = c where n_k is free, >= c at 0, <= c at N_k.

    Each is the distance from n_k / N_k to n_k / N_k - ((G n)_k - c) / (|G| n + c)_k clipped to [0, 1].
    """
    share, step = _slope(target, sizes, gram, n)
    return jnp.max(jnp.where(sizes > 0, jnp.abs(share - jnp.clip(share - step, 0, 1)), 0), 1)


def _slope(target, sizes, gram, n):
    """(n / N, ((G n)_k - c) / (|G| n + c)_k), [B, K]."""
    bias = jnp.einsum('bkl,bl->bk', gram, n)
    c = 0.5 + jnp.sum(n * bias, 1) / (target + jnp.sum(n, 1))
    return n / jnp.where(sizes > 0, sizes, 1), (bias - c[:, None]) / (jnp.einsum('bkl,bl->bk', jnp.abs(gram), n) + c[:, None])


def shortfall(target: jax.Array, sizes: jax.Array, gram: jax.Array, n: jax.Array) -> jax.Array:
    """A bound on F(n) / F* - 1, [B], by convexity alone: f(z') >= f(z) + f'(z)(z' - z) for every z' = (theta', x') that is allowed.

    The least right side is that of a set of sources with x' = theta', those of the least (G n)_k: the best prefix of their order.
    """
    bias, total = jnp.einsum('bkl,bl->bk', gram, n), target + jnp.sum(n, 1)
    order = jnp.argsort(bias, 1)
    taken = jnp.take_along_axis(sizes, order, 1)
    costs = 1 + jnp.cumsum(2 * taken * jnp.take_along_axis(bias, order, 1) / total[:, None], 1)
    alone = jnp.where(target > 0, 1 / jnp.where(target > 0, target, 1), jnp.inf)
    samples = target[:, None] + jnp.cumsum(taken, 1)
    best = jnp.minimum(alone, jnp.min(jnp.where(samples > 0, costs / jnp.where(samples > 0, samples, 1), jnp.inf), 1))
    least = best - jnp.sum(n * bias, 1) / total**2
    error = 1 / total + jnp.sum(n * bias, 1) / total**2
    return jnp.where(least > 0, (error - least) / jnp.where(least > 0, least, 1), jnp.inf)


def _solve(target, sizes, gram):
    total = target + jnp.sum(sizes, 1)
    p, p0 = sizes / total[:, None], target / total
    problem = Problem(q=sizes[:, :, None] * (gram / total[:, None, None]) * sizes[:, None, :], p=p, p0=p0)
    eps = jnp.finfo(p.dtype).eps

    def more(state):
        number, _, active, _ = state
        return jnp.any(active) & (number < ROUNDS)

    def one_round(state):
        number, point, active, rounds = state
        point = select(active, newton_step(point, problem), point)
        solved = (gap(point) < eps * point.theta) & (conditions(target, sizes, gram, _quantities(point, sizes)) < eps * 64)
        return number + 1, point, active & ~solved, rounds + active.astype(jnp.int32)

    start = first_point(problem)
    state = (jnp.zeros((), jnp.int32), start, jnp.isfinite(start.theta), jnp.zeros(start.theta.shape, jnp.int32))
    _, point, active, rounds = jax.lax.while_loop(more, one_round, state)
    n = _quantities(point, sizes)
    return n, conditions(target, sizes, gram, n), active, rounds


def _quantities(point, sizes):
    """n [B, K] of a point: from x or from s, whichever is smaller and so more precise."""
    low = point.x < point.s
    return sizes * jnp.where(low, point.x / point.theta[:, None], 1 - point.s / point.theta[:, None])


@optimal_quantities.defjvp
def _derivative(primals, tangents):
    target, sizes, gram = primals
    n, residual, unfinished, rounds = optimal_quantities(*primals)
    d_target, d_sizes, d_gram = tangents
    share, step = _slope(target, sizes, gram, n)
    full = (1 - share < -step) & (sizes > 0)
    free = (share >= step) & ~full & (sizes > 0)
    dot = functools.partial(jnp.einsum, 'bkl,bl->bk')
    bias, total = dot(gram, n), (target + jnp.sum(n, 1))[:, None]
    level = jnp.sum(n * bias, 1, keepdims=True) / total  # n'G n / S
    fixed = jnp.where(full, d_sizes, 0)
    # the change of (G n)_k - c without that of the free sources
    slope = dot(d_gram, n) - jnp.sum(n * dot(d_gram, n), 1, keepdims=True) / total + level / total * d_target[:, None]
    slope = slope + dot(gram, fixed) - jnp.sum((2 * bias - level) * fixed, 1, keepdims=True) / total
    root = jnp.where(free, sizes, 0)
    curvature = root[:, :, None] * (gram - ((1 + level) / total)[:, :, None]) * root[:, None, :]
    change = -root * dot(_pseudo_inverse(curvature), root * slope)
    still = jnp.zeros_like(residual), np.zeros(unfinished.shape, jax.dtypes.float0), np.zeros(rounds.shape, jax.dtypes.float0)
    return (n, residual, unfinished, rounds), (fixed + change, *still)


def _pseudo_inverse(matrix):
    """That of positive semi-definite matrices [B, K, K]; eigenvalues of rounding's size count as 0."""
    values, vectors = jnp.linalg.eigh(matrix)
    small = 16 * matrix.shape[1] * jnp.finfo(matrix.dtype).eps * jnp.max(jnp.abs(values), 1, keepdims=True)
    inverse = jnp.where(values > small, 1 / jnp.where(values > small, values, 1), 0)
    return jnp.einsum('bkm,bm,blm->bkl', vectors, inverse, vectors)
