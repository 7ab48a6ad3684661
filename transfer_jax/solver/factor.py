"""Solving A_FF x_F = b_F for the free set F of every problem, in three ways for three sizes.

Each takes A and returns solve(free, use) -> (use(substitute), definite [C]): substitute(b) is x, zero where not free, as often as wanted;
definite, whether A_FF is positive definite. Outside the free set rows and columns are the identity's: no shape changes.
"""
import functools

import jax
import jax.numpy as jnp


def unrolled(a):
    """For small K, problems last: a [K, K, C], free and b [K, C]; L D L' written out scalar by scalar over the batch."""
    size = len(a)

    def solve(free, use):
        lower, pivots = [[None] * size for _ in range(size)], []
        for j in range(size):
            column = [jnp.where(free[i] & free[j], a[i, j], 0) if i != j else jnp.where(free[j], a[j, j], 1) for i in range(j, size)]
            for p in range(j):
                scaled = lower[j][p] * pivots[p]
                column = [c - lower[i][p] * scaled for i, c in enumerate(column, j)]
            pivots.append(column[0])
            for i in range(j + 1, size):
                lower[i][j] = column[i - j] / column[0]

        def substitute(b):
            x = [jnp.where(free[k], b[k], 0) for k in range(size)]
            for j in range(size):
                for p in range(j):
                    x[j] = x[j] - lower[j][p] * x[p]
            x = [row / pivot for row, pivot in zip(x, pivots, strict=True)]
            for j in reversed(range(size)):
                for i in range(j + 1, size):
                    x[j] = x[j] - lower[i][j] * x[i]
            return jnp.stack(x)

        return use(substitute), functools.reduce(jnp.logical_and, (pivot > 0 for pivot in pivots))

    return solve


def masked(a):
    """For middling K, problems first: a [C, K, K], free and b [C, K]; Cholesky by LAPACK, one problem after the other."""
    eye = jnp.eye(a.shape[-1], dtype=a.dtype)

    def solve(free, use):
        lower = _cholesky(jnp.where(free[:, :, None] & free[:, None], a, eye))
        return use(lambda b: cholesky_solve(lower, jnp.where(free, b, 0))), jnp.isfinite(lower[:, -1, -1])

    return solve


def gathered(a):
    """For large K: one problem, a [1, K, K]; where half of the rows or fewer are free, those alone are factored."""
    size = a.shape[-1]
    rooms = sorted({-(-size // part) for part in (8, 4, 2)})

    def part(room, free, use):
        index = jnp.nonzero(free[0], size=room, fill_value=size)[0]
        inside = index < size
        block = a[0].at[index].get(mode='clip').at[:, index].get(mode='clip')
        lower = _cholesky(jnp.where(inside[:, None] & inside[None], block, jnp.eye(room, dtype=a.dtype)))

        def substitute(b):
            x = cholesky_solve(lower, jnp.where(inside, b[0].at[index].get(mode='clip'), 0))
            return jnp.zeros_like(b).at[0, index].set(x, mode='drop')

        return use(substitute), jnp.isfinite(lower[-1:, -1])

    def solve(free, use):
        ways = [functools.partial(part, room) for room in rooms] + [masked(a)]
        way = jnp.searchsorted(jnp.asarray(rooms), jnp.sum(free))
        return jax.lax.switch(way, [lambda free, one=one: one(free, use) for one in ways], free)

    return solve


_cholesky = functools.partial(jax.lax.linalg.cholesky, symmetrize_input=False)


def cholesky_solve(lower, b):
    """x of L L' x = b for lower [..., K, K] and b [..., K]."""
    solve = functools.partial(jax.lax.linalg.triangular_solve, lower, left_side=True, lower=True)
    return solve(solve(b[..., None]), transpose_a=True)[..., 0]
