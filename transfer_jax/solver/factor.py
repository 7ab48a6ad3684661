"""Solving A_FF x_F = b_F for the free set F of every problem, in three layouts for three sizes.

Each takes A and returns solve(free, b) -> (x, zero where not free; definite [B], whether A_FF is positive definite). Outside the free set
rows and columns are those of the identity, so nothing changes shape.
"""
import functools

import jax
import jax.numpy as jnp


def unrolled(a):
    """For small K: a [K, K, B], free and b [K, B]; L D L' written out scalar by scalar over the batch."""
    size = len(a)

    def solve(free, b):
        lower, pivots = [[None] * size for _ in range(size)], []
        for j in range(size):
            column = [jnp.where(free[i] & free[j], a[i, j], 0) if i != j else jnp.where(free[j], a[j, j], 1) for i in range(j, size)]
            for p in range(j):
                scaled = lower[j][p] * pivots[p]
                column = [c - lower[i][p] * scaled for i, c in enumerate(column, j)]
            pivots.append(column[0])
            for i in range(j + 1, size):
                lower[i][j] = column[i - j] / column[0]
        x = [jnp.where(free[k], b[k], 0) for k in range(size)]
        for j in range(size):
            for p in range(j):
                x[j] = x[j] - lower[j][p] * x[p]
        x = [row / pivot for row, pivot in zip(x, pivots, strict=True)]
        for j in reversed(range(size)):
            for i in range(j + 1, size):
                x[j] = x[j] - lower[i][j] * x[i]
        return jnp.stack(x), functools.reduce(jnp.logical_and, (pivot > 0 for pivot in pivots))

    return solve


def columns(a):
    """For middling K: the same shapes; a Cholesky factor whose columns are vectors over rows and batch."""
    size = len(a)

    def solve(free, b):
        mask, lower = free.astype(a.dtype), []
        for j in range(size):
            column = a[j:, j] * (mask[j:] * mask[j:j + 1])
            column = column.at[0].add(1 - mask[j])
            for p, known in enumerate(lower):
                column = column - known[j - p:] * known[j - p:j - p + 1]
            lower.append(column * jax.lax.rsqrt(column[:1]))
        rest, y = jnp.where(free, b, 0), []
        for column in lower:
            y.append(rest[:1] / column[:1])
            rest = rest[1:] - column[1:] * y[-1]
        x = jnp.zeros_like(b[:0])
        for column, value in zip(reversed(lower), reversed(y), strict=True):
            x = jnp.concatenate([(value - jnp.sum(column[1:] * x, 0, keepdims=True)) / column[:1], x])
        return x, jnp.isfinite(functools.reduce(jnp.add, (column[0] for column in lower)))

    return solve


def gathered(a):
    """For large K: one problem, a [K, K, 1]; the free rows are gathered into the smallest of four sizes and factored by LAPACK."""
    a = a[..., 0]
    size = len(a)
    sizes = sorted({-(-size // part) for part in (8, 4, 2, 1)})

    def solve_in(room, free, b):
        index = jnp.nonzero(free, size=room, fill_value=size)[0]
        inside = index < size
        part = jnp.where(inside[:, None] & inside[None], a.at[index[:, None], index[None]].get(mode='clip'), jnp.eye(room, dtype=a.dtype))
        lower = jax.lax.linalg.cholesky(part, symmetrize_input=False)
        x = cholesky_solve(lower, jnp.where(inside, b.at[index].get(mode='clip'), 0))
        return jnp.zeros_like(b).at[index].set(x, mode='drop'), jnp.isfinite(lower[-1:, -1])

    def solve(free, b):
        branch = jnp.searchsorted(jnp.asarray(sizes), jnp.sum(free))
        x, definite = jax.lax.switch(branch, [functools.partial(solve_in, room) for room in sizes], free[:, 0], b[:, 0])
        return x[:, None], definite

    return solve


def cholesky_solve(lower, b):
    """x of L L' x = b for lower [..., K, K] and b [..., K]."""
    solve = functools.partial(jax.lax.linalg.triangular_solve, lower, left_side=True, lower=True)
    return solve(solve(b[..., None]), transpose_a=True)[..., 0]
