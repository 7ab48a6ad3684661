"""n* = argmin_{0 <= n <= N} F(n) of a batch of problems, by a primal-dual interior-point method on its convex form.

With T = N0 + sum N, p = N / T, p0 = N0 / T, Q = N G N / T, S = N0 + sum n, theta = T / S and x = theta n / N, F(n) T is

    theta + x'Q x   over   p0 theta + p'x = 1,  0 <= x <= theta

(arXiv:2502.04242's joint problem; convex, and legal for N0 = 0). Flat directions (identical or opposed sources) do it no harm: it ends
at the centre of the optimal face.
"""
from typing import NamedTuple

import jax
import jax.numpy as jnp

from transfer_jax.solver.factor import cholesky_solve
from transfer_jax.solver.layout import FIRST, in_chunks

ROUNDS = 80
TO_BOUNDARY = 0.995
CHUNK = 128**2  # of K^2 times the problems at once


class Point(NamedTuple):
    """x and s = theta - x [B, K] with multipliers zx, zs of their signs; theta, and y of the equality [B]."""
    x: jax.Array
    s: jax.Array
    zx: jax.Array
    zs: jax.Array
    theta: jax.Array
    y: jax.Array


def optimal_quantities(target, sizes, gram):
    """(n [B, K], residual [B], unfinished [B], rounds [B]) for N0 [B], N [B, K] and gram [B, K, K] in one float dtype."""
    return in_chunks(FIRST, _solve, max(1, CHUNK // sizes.shape[1]**2), target, sizes, gram)


def conditions(target, sizes, gram, n):
    """How far n is from optimal, [B]: with c = 1/2 + n'G n / S, (G n)_k = c where n_k is free, >= c at 0, <= c at N_k.

    Each is the distance from n_k / N_k to where a step of ((G n)_k - c) / (|G| n + c)_k, held in [0, 1], leads.
    """
    bias = jnp.einsum('bkl,bl->bk', gram, n)
    c = 0.5 + jnp.sum(n * bias, 1) / (target + jnp.sum(n, 1))
    step = (bias - c[:, None]) / (jnp.einsum('bkl,bl->bk', jnp.abs(gram), n) + c[:, None])
    share = n / jnp.where(sizes > 0, sizes, 1)
    return jnp.max(jnp.where(sizes > 0, jnp.abs(share - jnp.clip(share - step, 0, 1)), 0), 1)


def _solve(target, sizes, gram):
    total = target + jnp.sum(sizes, 1)
    p, p0 = sizes / total[:, None], target / total
    q = sizes[:, :, None] * (gram / total[:, None, None]) * sizes[:, None, :]
    tolerance = jnp.finfo(p.dtype).eps * 64

    def going(state):
        return jnp.any(state[2]) & (state[0] < ROUNDS)

    def turn(state):
        number, point, active, rounds = state
        new = _newton(point, q, p, p0)
        point = _select(active, new, point)
        settled = _gap(point) < jnp.finfo(p.dtype).eps * point.theta
        converged = settled & (conditions(target, sizes, gram, quantities(point)) < tolerance)
        return number + 1, point, active & ~converged, rounds + active.astype(jnp.int32)

    def quantities(point):
        low = point.x < point.s
        return sizes * jnp.where(low, point.x / point.theta[:, None], 1 - point.s / point.theta[:, None])

    theta = 1 / (p0 + jnp.sum(p, 1) / 2)
    half = theta[:, None] / 2 * jnp.ones_like(p)
    slope = 2 * jnp.einsum('bkl,bl->bk', q, half)
    room = 1 + jnp.mean(jnp.abs(slope), 1, keepdims=True)
    start = Point(x=half, s=half, zx=jnp.maximum(slope, 0) + room, zs=jnp.maximum(-slope, 0) + room, theta=theta, y=jnp.zeros_like(theta))
    state = (jnp.zeros((), jnp.int32), start, jnp.isfinite(theta), jnp.zeros(theta.shape, jnp.int32))
    _, point, active, rounds = jax.lax.while_loop(going, turn, state)
    n = quantities(point)
    return n, conditions(target, sizes, gram, n), active, rounds


def _gap(point):
    """Mean complementarity, [B]."""
    return jnp.mean(jnp.concatenate([point.x * point.zx, point.s * point.zs], 1), 1)


def _residuals(point, q, p, p0):
    """Stationarity in x and in theta, and the equality."""
    bias = 2 * jnp.einsum('bkl,bl->bk', q, point.x)
    return (bias - point.y[:, None] * p - point.zx + point.zs, 1 - point.y * p0 - jnp.sum(point.zs, 1),
            p0 * point.theta + jnp.sum(p * point.x, 1) - 1)


def _newton(point, q, p, p0):
    """One predictor-corrector step (Mehrotra 1992), its correction held back where the predictor's step is short, lest it cycles."""
    rx, rt, re = _residuals(point, q, p, p0)
    direction = _directions(point, q, p, p0)
    affine = direction(rx, rt, re, point.x * point.zx, point.s * point.zs)
    gap = _gap(point)
    length = jnp.minimum(1, _longest(point, affine))
    after = _gap(_move(point, affine, length))
    target = (jnp.maximum(jnp.clip(after / gap, 0, 1), 1 - length) ** 3 * gap)[:, None]
    second = (length**2)[:, None]
    both = direction(rx, rt, re, point.x * point.zx + second * affine.x * affine.zx - target,
                     point.s * point.zs + second * affine.s * affine.zs - target)
    bold = _move(point, both, jnp.minimum(1, TO_BOUNDARY * _longest(point, both)))
    half = (gap / 2)[:, None]
    first = direction(rx, rt, re, point.x * point.zx - half, point.s * point.zs - half)
    safe = _move(point, first, jnp.minimum(1, 0.9 * _longest(point, first)))
    return _select(_gap(bold) < gap, bold, safe)


def _directions(point, q, p, p0):
    """The Newton step's solver. Of x_k and s_k the smaller is the unknown w_k: what is large is never subtracted from itself."""
    upper = point.x > point.s
    sign = jnp.where(upper, -1.0, 1.0).astype(p.dtype)
    e = upper.astype(p.dtype)
    dx, ds = point.zx / point.x, point.zs / point.s
    faint = jnp.where(upper, dx, ds)
    eye = jnp.eye(p.shape[1], dtype=p.dtype)[None]
    core = 2 * q * sign[:, :, None] * sign[:, None, :]
    h = core + (dx + ds)[:, :, None] * eye
    to_theta = jnp.einsum('bkl,bl->bk', 2 * q, e)
    column = sign * to_theta - faint
    corner = jnp.sum(e * to_theta, 1) + jnp.sum(faint, 1)
    normal, normal0 = sign * p, p0 + jnp.sum(e * p, 1)
    root = jnp.sqrt(jnp.diagonal(h, axis1=1, axis2=2))
    lower = jax.lax.linalg.cholesky(h / root[:, :, None] / root[:, None, :] + 8 * jnp.finfo(p.dtype).eps * eye,
                                    symmetrize_input=False)
    solve = lambda b: cholesky_solve(lower, b / root) / root
    wc, wn = solve(column), solve(normal)
    dot = lambda a, b: jnp.sum(a * b, 1)
    alpha, beta, gamma = corner - dot(column, wc), normal0 - dot(column, wn), dot(normal, wn)

    def direction(rx, rt, re, cx, cs):
        a = jnp.where(upper, rx + cx / point.x - cs / point.s, -rx - cx / point.x + cs / point.s)
        t = -rt - jnp.sum(jnp.where(upper, rx + cx / point.x, cs / point.s), 1)
        wa = solve(a)
        # H w + column theta - normal y = a;  column'w + corner theta - normal0 y = t;  normal'w + normal0 theta = -re
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
    """The longest step [B], at most 1 / TO_BOUNDARY, that keeps signs."""
    ratios = [jnp.where(d < 0, -v / jnp.where(d < 0, d, 1), jnp.inf) for v, d in zip(point[:4], step[:4], strict=True)]
    return jnp.minimum(1 / TO_BOUNDARY, jnp.min(jnp.concatenate(ratios, 1), 1))


def _select(where, one, other):
    return jax.tree.map(lambda a, b: jnp.where(where.reshape(-1, *[1] * (a.ndim - 1)), a, b), one, other)


def _move(point, step, length):
    return jax.tree.map(lambda v, d: v + length.reshape(-1, *[1] * (v.ndim - 1)) * d, point, step)
