"""Solvers of the probability-flow ODE dx/dt = v(x, t), from noise to data: Euler, Heun and UniPC, in pieces of any length.

UniPC (Zhao et al. 2023, arXiv:2302.04867; order 2, B(h) = e^-h - 1, data prediction) writes the ODE as dx/dt = (x - m(x, t)) / t with
m = x - t v, solves its linear part exactly, and interpolates m in lambda = log(1 - t) - log t. On the rectified path m is the model's
x_0. A step at t_i corrects x_i by the model's output there, then predicts x_{i+1}:

    x_{i+1} = (t_{i+1} / t_i) x_i - (1 - t_{i+1}) B(h) (m_i + sum_k rho_k (m_k - m_i) / r_k),   h = lambda_{i+1} - lambda_i,

rho as in _rhos. All of it is linear in points and outputs; what multiplies them depends on the grid alone and is computed beforehand.
"""
import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

SOLVERS = ('euler', 'heun', 'unipc')
_TERMS = 18  # of a series in |z| < 1: float64's accuracy


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class SolverState:
    """A trajectory between two steps. x: where it is. history: of UniPC the last corrected x and the two last outputs m; else empty."""
    x: Array
    history: tuple


def start_solver(x: Float[Array, '*shape'], solver: str = 'heun') -> SolverState:
    """The SolverState at x, before the first step. Raises ValueError unless the solver is one of SOLVERS."""
    if solver not in SOLVERS:
        raise ValueError(f'a solver is one of {SOLVERS}, got {solver!r}')
    return SolverState(x=x, history=(jnp.zeros_like(x),) * 3 if solver == 'unipc' else ())


def advance(velocity: Callable, state: SolverState, grid: Float[Array, ' knots'], start: int | Int[Array, ''], stop: int | Int[Array, ''],
            solver: str = 'heun') -> SolverState:
    """The state after steps start, ..., stop - 1 of a grid, step i from grid[i] to grid[i + 1], along dx/dt = velocity(x, t), t a scalar.

    Steps 0 to k and then k to N are steps 0 to N to the bit where start and stop are traced, since one program runs both. grid: the whole
    one, whatever the piece, in x's dtype. Reverse-mode derivatives do not pass through it.
    """
    step = {'euler': _euler, 'heun': _heun, 'unipc': _unipc}[solver](velocity, grid)
    body = lambda carry: (carry[0] + 1, step(carry[1], carry[0]))
    return jax.lax.while_loop(lambda carry: carry[0] < stop, body, (jnp.asarray(start, jnp.int32), state))[1]


def solve(velocity: Callable, x: Float[Array, '*shape'], grid: Float[Array, ' knots'], solver: str = 'heun') -> Float[Array, '*shape']:
    """x at grid[-1] from x at grid[0] along dx/dt = velocity(x, t), t a scalar.

    'euler': first order. 'heun': second order, the mean of the velocities at both ends of each step. 'unipc': second order or better with
    one velocity a step; grid[0] <= 1, grid[-1] = 0. Raises ValueError on any other.
    """
    return advance(velocity, start_solver(x, solver), grid, 0, len(grid) - 1, solver).x


def _euler(velocity, grid):
    return lambda state, i: dataclasses.replace(state, x=state.x + (grid[i + 1] - grid[i]) * velocity(state.x, grid[i]))


def _heun(velocity, grid):
    def step(state, i):
        x, t, s = state.x, grid[i], grid[i + 1]
        slope = velocity(x, t)
        slope = (slope + velocity(x + (s - t) * slope, s)) / 2
        return dataclasses.replace(state, x=x + (s - t) * slope)

    return step


def _unipc(velocity, grid):
    correct, predict = _unipc_tables(grid)

    def step(state, i):
        (last, before, previous), x = state.history, state.x
        output = x - grid[i] * velocity(x, grid[i])
        x = _combined(correct[i], (x, last, before, previous, output))
        return SolverState(x=_combined(predict[i], (x, previous, output)), history=(x, previous, output))

    return step


def _combined(row, arrays):
    return sum(row[j] * array for j, array in enumerate(arrays))


def _unipc_tables(grid):
    """Rows for N steps: correct [N, 5], of (predicted x_i, x_{i-1}, m_{i-2}, m_{i-1}, m_i), and predict [N, 3], of (x_i, m_{i-1}, m_i).

    The first step has nothing to correct. Step i has order min(2, i + 1, N - i), and so has the correction of what it predicted.
    """
    n, level = len(grid) - 1, jnp.log1p(-grid) - jnp.log(grid)
    i = jnp.arange(n)
    second = (i >= 1) & (i <= n - 2)
    h = jnp.diff(level)
    inverse_r = jnp.where(second, h / (jnp.roll(level[:-1], 1) - level[:-1]), 0)  # of r = (lambda_{i-1} - lambda_i) / h
    scale, factor = grid[1:] / grid[:-1], -(1 - grid[1:]) * jnp.expm1(-h)
    rho, rho_new = _rhos(h, inverse_r, second)
    other = 0.5 * inverse_r
    predict = jnp.stack([scale, factor * other, factor * (1 - other)], 1)
    other = rho * inverse_r
    row = jnp.stack([jnp.zeros_like(h), scale, factor * other, factor * (1 - other - rho_new), factor * rho_new], 1)
    return jnp.concatenate([jnp.eye(1, 5, dtype=grid.dtype), row[:-1]]), predict


def _rhos(h, inverse_r, second):
    """The corrector's weights of (m_{i-1} - m_i) / r and of m_{i+1} - m_i, for a step of length h from t_i.

    First order: 0 and 1/2. Second: the solution of rho + rho' = b_1, r rho + rho' = b_2, where with z = -h
    b_1 = z phi_2(z) / B = (B / z - 1) / B and b_2 = 2 z phi_3(z) / B = 2 ((B / z - 1) / z - 1/2) / B.
    """
    z, b = -h, jnp.expm1(-h)
    near, far = jnp.abs(z) < 1, jnp.where(jnp.abs(z) < 1, 1, z)  # where z is small the differences lose their digits
    b_1 = jnp.where(near, z * _phi(2, z), b / far - 1) / b
    b_2 = 2 * jnp.where(near, z * _phi(3, z), (b / far - 1) / far - 0.5) / b
    rho = (b_1 - b_2) * inverse_r / (inverse_r - 1)
    return jnp.where(second, rho, 0), jnp.where(second, b_1 - rho, 0.5)


def _phi(k, z):
    """sum_j z^j / (j + k)!, for |z| < 1."""
    z, total, factorial = jnp.where(jnp.abs(z) < 1, z, 0), jnp.zeros_like(z), 1.0
    for j in range(2, k + 1):
        factorial *= j
    power = jnp.ones_like(z)
    for j in range(_TERMS):
        total = total + power / factorial
        power, factorial = power * z, factorial * (j + k + 1)
    return total
