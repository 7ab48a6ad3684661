"""ODE solvers against closed forms: order of convergence, Gaussian data, exactness where it is due, trajectories in pieces."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tqd_jax.diffusion.grids import GRIDS, sigma_grid, time_grid
from tqd_jax.diffusion.solvers import SOLVERS, advance, solve, start_solver

SPREAD = 0.3


def gaussian_velocity(x, t):
    """E[eps - x_0 | x_t = x] for x_0 ~ N(0, SPREAD^2), eps ~ N(0, 1): the exact model of Gaussian data."""
    variance = (1 - t) ** 2 * SPREAD**2 + t**2
    return (t - (1 - t) * SPREAD**2) / variance * x


def linear(x, t):
    """dx/dt = x + t, so x(t) = (x(1) + 2) e^(t - 1) - t - 1."""
    return x + t


@pytest.mark.parametrize(('solver', 'order'), [('euler', 1), ('heun', 2), ('unipc', 2)])
@pytest.mark.parametrize(('velocity', 'exact'), [(gaussian_velocity, SPREAD), (linear, 3 / np.e - 1)])
def test_order_of_convergence(velocity, exact, solver, order):
    with jax.enable_x64(True):
        grids = [jnp.linspace(1, 0, steps + 1, dtype=jnp.float64) for steps in (128, 256)]
        error = [abs(float(solve(velocity, jnp.ones((), jnp.float64), grid, solver)) - exact) for grid in grids]
    assert np.log2(error[0] / error[1]) == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize('solver', ['heun', 'unipc'])
def test_noise_becomes_data(solver):
    noise = jax.random.normal(jax.random.key(0), (20_000,))
    data = solve(gaussian_velocity, noise, time_grid(64), solver)
    assert float(data.std()) == pytest.approx(SPREAD, rel=0.02)


@pytest.mark.parametrize('kind', GRIDS)
@pytest.mark.parametrize('steps', [1, 2, 3, 20])
def test_unipc_is_exact_where_the_data_are_one_point(kind, steps):
    """m = x_0 is then constant, and only the linear part is left."""
    x = solve(lambda x, t: (x - 0.7) / t, jax.random.normal(jax.random.key(0), (50,)), sigma_grid(steps, 5.0, kind), 'unipc')
    np.testing.assert_allclose(x, 0.7, rtol=1e-5)


@pytest.mark.parametrize('solver', SOLVERS)
@pytest.mark.parametrize('cut', [0, 1, 3, 6, 7])
def test_a_trajectory_in_two_pieces_is_the_whole_to_the_bit(solver, cut):
    grid, noise = sigma_grid(7, 3.0, 'original'), jax.random.normal(jax.random.key(2), (4, 9))
    velocity = lambda x, t: jnp.tanh(x @ jnp.eye(9)[::-1]) * t + gaussian_velocity(x, t)
    piece = jax.jit(lambda state, start, stop: advance(velocity, state, grid, start, stop, solver))
    start = start_solver(noise, solver)
    whole = piece(start, 0, 7)
    jax.tree.map(np.testing.assert_array_equal, piece(piece(start, 0, cut), cut, 7), whole)
    np.testing.assert_allclose(solve(velocity, noise, grid, solver), whole.x, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('solver', SOLVERS)
def test_velocities_a_trajectory_takes(solver):
    count = []
    solve(lambda x, t: (jax.debug.callback(lambda: count.append(1)), -x)[1], jnp.ones(()), time_grid(6), solver)
    jax.effects_barrier()
    assert len(count) == {'euler': 6, 'heun': 12, 'unipc': 6}[solver]


def test_the_correctors_weights_are_the_same_whatever_way_they_are_computed():
    """Steps of 0.001 to 30 in lambda: float32 against float64, and the two formulas where they meet."""
    from tqd_jax.diffusion import solvers
    h = np.geomspace(1e-3, 30, 200)
    one = solvers._rhos(jnp.asarray(h, jnp.float32), jnp.full(200, -1.0, jnp.float32), True)
    with jax.enable_x64(True):
        two = solvers._rhos(jnp.asarray(h), jnp.full(200, -1.0), True)
    z, b = -h, np.expm1(-h)
    b_1, b_2 = (b / z - 1) / b, 2 * ((b / z - 1) / z - 0.5) / b
    solved = np.linalg.solve(np.broadcast_to([[1.0, 1.0], [-1.0, 1.0]], (200, 2, 2)), np.stack([b_1, b_2], 1)[..., None])[..., 0].T
    np.testing.assert_allclose(one, two, rtol=2e-6, atol=2e-7)
    np.testing.assert_allclose(two, solved, rtol=1e-8)


def test_unknown_solvers_are_refused():
    with pytest.raises(ValueError, match="'rk4'"):
        solve(gaussian_velocity, jnp.ones(()), time_grid(2), 'rk4')
