"""One step of the interior-point method that transfer_jax.solver.quantities iterates: Mehrotra's predictor and corrector.

The problem is theta + x'Q x over p0 theta + p'x = 1 and 0 <= x <= theta; s = theta - x.
"""
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from transfer_jax.solver.factor import cholesky_solve

TO_BOUNDARY = 0.995  # a step goes at most this part of the way to the boundary


class Problem(NamedTuple):
    """Q [B, K, K], p [B, K] and p0 [B]."""
    q: jax.Array
    p: jax.Array
    p0: jax.Array


class Point(NamedTuple):
    """x and s = theta - x [B, K] with multipliers zx, zs of their signs; theta, and y of the equality [B]."""
    x: jax.Array
    s: jax.Array
    zx: jax.Array
    zs: jax.Array
    theta: jax.Array
    y: jax.Array


def first_point(problem: Problem) -> Point:
    """The start: x in the middle of its range, multipliers positive."""
    q, p, p0 = problem
    theta = 1 / (p0 + jnp.sum(p, 1) / 2)
    half = theta[:, None] / 2 * jnp.ones_like(p)
    slope = 2 * jnp.einsum('bkl,bl->bk', q, half)
    room = 1 + jnp.mean(jnp.abs(slope), 1, keepdims=True)
    return Point(x=half, s=half, zx=jnp.maximum(slope, 0) + room, zs=jnp.maximum(-slope, 0) + room, theta=theta, y=jnp.zeros_like(theta))


def gap(point: Point) -> jax.Array:
    """Mean complementarity, [B]."""
    return jnp.mean(jnp.concatenate([point.x * point.zx, point.s * point.zs], 1), 1)


def newton_step(point: Point, problem: Problem) -> Point:
    """The point after one predictor-corrector step (Mehrotra 1992).

    Where the correction does not make the gap smaller, a plain step towards half the gap replaces it: corrections alone can cycle.
    """
    rx, rt, re = _residuals(point, problem)
    direction = _directions(point, problem)
    affine = direction(rx, rt, re, point.x * point.zx, point.s * point.zs)
    before = gap(point)
    length = jnp.minimum(1, _longest(point, affine))
    after = gap(_move(point, affine, length))
    target = (jnp.maximum(jnp.clip(after / before, 0, 1), 1 - length) ** 3 * before)[:, None]
    second = (length**2)[:, None]
    both = direction(rx, rt, re, point.x * point.zx + second * affine.x * affine.zx - target,
                     point.s * point.zs + second * affine.s * affine.zs - target)
    bold = _move(point, both, jnp.minimum(1, TO_BOUNDARY * _longest(point, both)))
    half = (before / 2)[:, None]
    first = direction(rx, rt, re, point.x * point.zx - half, point.s * point.zs - half)
    safe = _move(point, first, jnp.minimum(1, 0.9 * _longest(point, first)))
    return select(gap(bold) < before, bold, safe)


def _residuals(point, problem):
    """Stationarity in x and in theta, and the equality."""
    bias = 2 * jnp.einsum('bkl,bl->bk', problem.q, point.x)
    return (bias - point.y[:, None] * problem.p - point.zx + point.zs, 1 - point.y * problem.p0 - jnp.sum(point.zs, 1),
            problem.p0 * point.theta + jnp.sum(problem.p * point.x, 1) - 1)


class _System(NamedTuple):
    """The Newton matrix with w_k, the smaller of x_k and s_k, as the unknown: H w + column theta - normal y = a,
    column'w + corner theta - normal0 y = t, normal'w + normal0 theta = -re."""
    upper: jax.Array
    h: jax.Array
    column: jax.Array
    corner: jax.Array
    normal: jax.Array
    normal0: jax.Array


def _system(point, problem):
    q, p, p0 = problem
    upper = point.x > point.s
    sign = jnp.where(upper, -1.0, 1.0).astype(p.dtype)
    e = upper.astype(p.dtype)
    dx, ds = point.zx / point.x, point.zs / point.s
    faint = jnp.where(upper, dx, ds)
    eye = jnp.eye(p.shape[1], dtype=p.dtype)[None]
    core = 2 * q * sign[:, :, None] * sign[:, None, :]
    to_theta = jnp.einsum('bkl,bl->bk', 2 * q, e)
    return _System(upper=upper, h=core + (dx + ds)[:, :, None] * eye, column=sign * to_theta - faint,
                   corner=jnp.sum(e * to_theta, 1) + jnp.sum(faint, 1), normal=sign * p, normal0=p0 + jnp.sum(e * p, 1))


def _solver(h):
    """b -> H^-1 b, by Cholesky after scaling the diagonal to 1."""
    eye = jnp.eye(h.shape[1], dtype=h.dtype)[None]
    root = jnp.sqrt(jnp.diagonal(h, axis1=1, axis2=2))
    lower = jax.lax.linalg.cholesky(h / root[:, :, None] / root[:, None, :] + 8 * jnp.finfo(h.dtype).eps * eye,
                                    symmetrize_input=False)
    return lambda b: cholesky_solve(lower, b / root) / root


def _directions(point: Point, problem: Problem) -> Callable[..., Point]:
    """direction(rx, rt, re, cx, cs) -> the Newton step. Its unknowns are the smaller of x_k and s_k, which cancels no digits."""
    upper, h, column, corner, normal, normal0 = _system(point, problem)
    solve = _solver(h)
    wc, wn = solve(column), solve(normal)
    dot = lambda a, b: jnp.sum(a * b, 1)
    alpha, beta, gamma = corner - dot(column, wc), normal0 - dot(column, wn), dot(normal, wn)

    def direction(rx, rt, re, cx, cs):
        a = jnp.where(upper, rx + cx / point.x - cs / point.s, -rx - cx / point.x + cs / point.s)
        t = -rt - jnp.sum(jnp.where(upper, rx + cx / point.x, cs / point.s), 1)
        wa = solve(a)
        first, second = t - dot(column, wa), -re - dot(normal, wa)
        det = alpha * gamma + beta**2
        theta = (gamma * first + beta * second) / det
        y = (alpha * second - beta * first) / det
        w = wa - wc * theta[:, None] + wn * y[:, None]
        x = jnp.where(upper, theta[:, None] - w, w)
        s = jnp.where(upper, w, theta[:, None] - w)
        return Point(x=x, s=s, zx=-(cx + point.zx * x) / point.x, zs=-(cs + point.zs * s) / point.s, theta=theta, y=y)

    return direction


def _longest(point, step):
    """The longest step [B], at most 1 / TO_BOUNDARY, after which x, s and their multipliers are still positive."""
    ratios = [jnp.where(d < 0, -v / jnp.where(d < 0, d, 1), jnp.inf) for v, d in zip(point[:4], step[:4], strict=True)]
    return jnp.minimum(1 / TO_BOUNDARY, jnp.min(jnp.concatenate(ratios, 1), 1))


def select(where: jax.Array, one: Any, other: Any) -> Any:
    """Leaves [B, ...] of one tree where `where` [B] is true, of the other elsewhere."""
    return jax.tree.map(lambda a, b: jnp.where(where.reshape(-1, *[1] * (a.ndim - 1)), a, b), one, other)


def _move(point, step, length):
    return jax.tree.map(lambda v, d: v + length.reshape(-1, *[1] * (v.ndim - 1)) * d, point, step)
