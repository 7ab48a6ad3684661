"""Solving A_FF x_F = b_F for the free set F of every problem: three factorisations, for small, middling and large K.

Each takes A and returns solve(free, use) -> (use(substitute), definite [C]): substitute(b) is x, zero where a variable is not free, and may
be called any number of times; definite: whether A_FF is positive definite. Rows and columns outside the free set become the identity's, so
that no shape depends on the free set.
"""
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Substitute = Callable[[jax.Array], jax.Array]
Solve = Callable[[jax.Array, Callable[[Substitute], Any]], tuple[Any, jax.Array]]


def scalar_ldl(a: jax.Array) -> Solve:
    """For small K, problems last: a [K, K, C], free and b [K, C]; L D L' written out scalar by scalar over the batch."""
    def solve(free, use):
        lower, pivots = _ldl(a, free)
        definite = functools.reduce(jnp.logical_and, (pivot > 0 for pivot in pivots))
        return use(functools.partial(_ldl_solve, lower, pivots, free)), definite

    return solve


def _ldl(a, free):
    """(L, D) of the free block: a list of rows of arrays [C], and a list of pivots [C]."""
    size = len(a)
    lower, pivots = [[None] * size for _ in range(size)], []
    for j in range(size):
        column = [jnp.where(free[i] & free[j], a[i, j], 0) if i != j else jnp.where(free[j], a[j, j], 1) for i in range(j, size)]
        for p in range(j):
            factor = lower[j][p] * pivots[p]
            column = [c - lower[i][p] * factor for i, c in enumerate(column, j)]
        pivots.append(column[0])
        for i in range(j + 1, size):
            lower[i][j] = column[i - j] / column[0]
    return lower, pivots


def _ldl_solve(lower, pivots, free, b):
    """x [K, C] of L D L' x = b where free, 0 elsewhere."""
    size = len(pivots)
    x = [jnp.where(free[k], b[k], 0) for k in range(size)]
    for j in range(size):
        for p in range(j):
            x[j] = x[j] - lower[j][p] * x[p]
    x = [row / pivot for row, pivot in zip(x, pivots, strict=True)]
    for j in reversed(range(size)):
        for i in range(j + 1, size):
            x[j] = x[j] - lower[i][j] * x[i]
    return jnp.stack(x)


def masked_cholesky(a: jax.Array) -> Solve:
    """For middling K, problems first: a [C, K, K], free and b [C, K]; Cholesky by LAPACK, one problem after the other."""
    eye = jnp.eye(a.shape[-1], dtype=a.dtype)

    def solve(free, use):
        lower = _cholesky(jnp.where(free[:, :, None] & free[:, None], a, eye))
        return use(lambda b: cholesky_solve(lower, jnp.where(free, b, 0))), jnp.isfinite(lower[:, -1, -1])

    return solve


def compact_cholesky(a: jax.Array) -> Solve:
    """For large K: one problem, a [1, K, K]; where half of the rows or fewer are free, those alone are factored."""
    size = a.shape[-1]
    rooms = sorted({-(-size // part) for part in (8, 4, 2)})

    def solve(free, use):
        ways = [functools.partial(_compact_solve, a, room) for room in rooms] + [masked_cholesky(a)]
        way = jnp.searchsorted(jnp.asarray(rooms), jnp.sum(free))
        return jax.lax.switch(way, [lambda free, one=one: one(free, use) for one in ways], free)

    return solve


def _compact_solve(a, room, free, use):
    """solve(free, use) of one problem with at most `room` free variables, from their block alone."""
    size = a.shape[-1]
    index = jnp.nonzero(free[0], size=room, fill_value=size)[0]
    inside = index < size
    block = a[0].at[index].get(mode='clip').at[:, index].get(mode='clip')
    lower = _cholesky(jnp.where(inside[:, None] & inside[None], block, jnp.eye(room, dtype=a.dtype)))

    def substitute(b):
        x = cholesky_solve(lower, jnp.where(inside, b[0].at[index].get(mode='clip'), 0))
        return jnp.zeros_like(b).at[0, index].set(x, mode='drop')

    return use(substitute), jnp.isfinite(lower[-1:, -1])


_cholesky = functools.partial(jax.lax.linalg.cholesky, symmetrize_input=False)


def cholesky_solve(lower: jax.Array, b: jax.Array) -> jax.Array:
    """x of L L' x = b for lower [..., K, K] and b [..., K]."""
    solve = functools.partial(jax.lax.linalg.triangular_solve, lower, left_side=True, lower=True)
    return solve(solve(b[..., None]), transpose_a=True)[..., 0]
