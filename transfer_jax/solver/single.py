"""One small problem on the host, in float64 and without JAX: a jitted call costs more than its solution.

Only what is plainly solvable is solved here: sizes above 0, and a gram whose solution is certified. Everything else is None, and left to
the batched solver, which has a status for it.
"""
import math
from typing import Any

import jax
import numpy as np

from transfer_jax.solver.solution import BLURRED, LOST, Solution, Status

LARGEST = 5  # sources: with more, Python's own numbers cost more than a jitted call
TOLERANCE = 1e-12  # of the residual
SMALLEST = 1e-11  # of a pivot, relative to its diagonal entry: below, sources cancel and the batched solver looks closer
EPS = {np.dtype(dtype): float(np.finfo(dtype).eps) for dtype in (np.float16, np.float32, np.float64)}
PLAIN = {float, int, np.float64, np.float32, np.int64, np.int32}
SOLVED = np.int8(Status.SOLVED)


def solve_one(target: Any, sizes: Any, gram: np.ndarray) -> Solution | None:
    """The Solution of one problem of NumPy arrays or Python's numbers, N0 [], N [K], gram [K, K]; None where it is not a plain one.

    Its arrays are NumPy's, of the dtype that the batched solver would give; they are solved for in float64 either way.
    """
    shape, eps = gram.shape, EPS.get(gram.dtype)
    if len(shape) != 2 or not 0 < shape[0] == shape[1] <= LARGEST or eps is None or type(target) not in PLAIN or not 0 <= target < math.inf:
        return None
    if type(sizes) is np.ndarray:
        double = gram.dtype == np.float64 or sizes.dtype == np.float64 or type(target) is np.float64
        sizes = sizes.tolist() if sizes.dtype.kind in 'fiu' and sizes.ndim == 1 else ()
    elif type(sizes) in (list, tuple) and all(type(size) in PLAIN for size in sizes):
        double = gram.dtype == np.float64 or type(target) is np.float64
        sizes = [float(size) for size in sizes]
    else:
        return None
    solved = _solve(sizes, gram.tolist(), eps) if len(sizes) == shape[0] else None
    if solved is None:
        return None
    u, residual, rounds = solved
    kind = np.float64 if double and jax.config.jax_enable_x64 else np.float32
    return Solution(np.array([a / b for a, b in zip(u, sizes)], kind), np.array(sizes, kind), np.array(u, kind),  # noqa: B905, of one length
                    kind(1 / (target + sum(u))), kind(residual), SOLVED, np.int32(rounds))


def _solve(n: list, rows: list, eps: float) -> tuple | None:
    """(u, residual, rounds) by principal pivoting on L D L' in Python's numbers; None where a condition of a plain problem fails."""
    every, m = range(len(n)), []
    for k in every:
        row, own = list(rows[k]), rows[k][k]
        if not (own >= 0 and 0 < n[k] < math.inf):
            return None
        for j in range(k):
            entry = row[j]
            if entry != rows[j][k] or not entry * entry <= 1.001 * own * rows[j][j]:
                return None
        row[k] = own + 1 / n[k]
        m.append(row)
    free = list(every)
    for rounds in range(1, 3 * len(n) + 2):
        u = _ldl(m, free, len(n))
        if u is None:
            return None
        kept = [k for k in free if u[k] > 0]
        if len(kept) == len(free):
            residual, missing = _certified(m, u, n, eps)
            if not missing:
                return None if residual is None else (u, residual, rounds)
            kept = sorted(free + missing)
        free = kept
    return None


def _ldl(m, free, size):
    """u [K] of M_FF u_F = 1, or None where a pivot is too small."""
    lower, pivots, x, count = [], [], [], len(free)
    for i in range(count):
        k = free[i]
        line, row = m[k], []
        pivot = line[k]
        least, value = SMALLEST * pivot, 1.0
        for j in range(i):
            entry, other = line[free[j]], lower[j]
            for p in range(j):
                entry -= row[p] * other[p]
            row.append(entry)
            share = entry / pivots[j]
            pivot -= entry * share
            value -= share * x[j]
        if not pivot > least:
            return None
        lower.append([row[j] / pivots[j] for j in range(i)])
        pivots.append(pivot)
        x.append(value)
    u = [0.0] * size
    for i in range(count - 1, -1, -1):
        value = x[i] / pivots[i]
        for j in range(i + 1, count):
            value -= lower[j][i] * x[j]
        x[i] = u[free[i]] = value
    return u


def _certified(m, u, n, eps):
    """(the residual, or None where rounding or the bound costs more than is promised; the sources that should not be at 0)."""
    residual = wrong = below = blur = value = 0.0
    missing, every = [], range(len(u))
    for k in every:
        row, mine, product, terms = m[k], u[k], 0.0, 1.0
        for j in every:
            part = row[j] * u[j]
            product += part
            terms += part if part > 0 else -part
            blur += (mine * part) ** 2  # with the variance too: no less than without
        rest = 1.0 - product
        if not mine:
            if rest > TOLERANCE * terms:
                missing.append(k)
            continue
        size = rest if rest > 0 else -rest
        if size > residual * terms:
            residual = size / terms
        size += 4e-16 * terms
        wrong += mine * size
        below += n[k] * size * size
        value += mine
    fine = residual <= TOLERANCE and wrong <= LOST * value and below <= LOST * value and eps * eps / 4 * blur <= (BLURRED * value) ** 2
    return (residual if fine else None), missing
