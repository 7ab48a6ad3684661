"""Grids of noise levels: their formulas, the times that a model reads, and where the experts change."""
import jax.numpy as jnp
import numpy as np
import pytest

from tqd_jax.diffusion.grids import GRIDS, integer_times, segments, sigma_grid, time_grid

FIRST, LAST = {'original': 0.999, 'diffusers': 1.0}, {'original': 0.0, 'diffusers': 0.001}


def test_the_grid_runs_from_noise_to_data_and_a_shift_lingers_in_noise():
    plain, shifted = np.asarray(time_grid(10)), np.asarray(time_grid(10, 3.0))
    assert plain[0] == shifted[0] == 1 and plain[-1] == shifted[-1] == 0
    assert (np.diff(plain) < 0).all() and (shifted[1:-1] > plain[1:-1]).all()


@pytest.mark.parametrize('kind', GRIDS)
@pytest.mark.parametrize('steps', [1, 2, 50])
def test_every_grid_falls_to_zero_in_float32(kind, steps):
    grid = sigma_grid(steps, 5.0, kind)
    assert grid.shape == (steps + 1,) and grid.dtype == jnp.float32 and grid[-1] == 0 and (np.diff(grid) < 0).all()


def test_the_linear_grid_is_the_time_grid_to_the_bit():
    np.testing.assert_array_equal(sigma_grid(24, 3.0), time_grid(24, 3.0))


@pytest.mark.parametrize('kind', ['original', 'diffusers'])
@pytest.mark.parametrize(('steps', 'shift'), [(50, 5.0), (40, 12.0), (7, 3.0)])
def test_a_published_grid_is_its_formula(kind, steps, shift):
    level = [FIRST[kind] + i / steps * (LAST[kind] - FIRST[kind]) for i in range(steps)]
    sigma = [shift * x / (1 + (shift - 1) * x) for x in level]
    sigma[0] -= 1e-6 if kind == 'diffusers' else 0
    np.testing.assert_allclose(sigma_grid(steps, shift, kind), sigma + [0], rtol=1e-7)


@pytest.mark.parametrize(('kind', 'steps', 'shift', 'ends'), [
    ('diffusers', 50, 5.0, ([999, 995, 991, 987], [244, 175, 96])), ('original', 50, 5.0, ([999, 995, 991, 987], [241, 172, 92])),
    ('diffusers', 50, 3.0, ([999], [162, 113, 60])), ('original', 50, 3.0, ([999], [160, 111, 57])),
    ('diffusers', 40, 12.0, ([999], [496, 391, 242])), ('original', 40, 12.0, ([999], [492, 386, 235]))])
def test_integer_times_are_those_of_the_two_public_samplers(kind, steps, shift, ends):
    times = np.round(1000 * np.asarray(integer_times(steps, shift, kind))).astype(int)
    first, last = ends
    assert times[:len(first)].tolist() == first and times[-1 - len(last):].tolist() == [*last, 0]
    assert ((times / 1000 <= np.asarray(sigma_grid(steps, shift, kind)) + 1e-6) & (times[-1] == 0)).all()


def test_the_expert_of_high_noise_takes_26_of_40_steps():
    assert segments(sigma_grid(40, 12.0, 'original'), 0.875) == ((0, 26, 'high'), (26, 40, 'low'))


def test_a_step_that_begins_at_the_boundary_is_of_high_noise_and_an_expert_may_have_none():
    grid = np.array([1.0, 0.9, 0.5, 0.0], np.float32)
    assert segments(grid, 0.9) == ((0, 2, 'high'), (2, 3, 'low'))
    assert segments(grid, 0.2) == ((0, 3, 'high'), (3, 3, 'low'))


@pytest.mark.parametrize('bad', [(10, 1.0, 'karras'), (0, 1.0, 'linear'), (0, 1.0, 'original')])
def test_impossible_grids_are_refused(bad):
    with pytest.raises(ValueError, match='a grid has 1 step or more'):
        sigma_grid(*bad)
