"""RAFT without its weights: look-ups against indexing, upsampling and whole networks in closed form, weights files, the scorer."""
import dataclasses
import functools
import math
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from tqd_jax.models.raft.network import (
    batch_norm,
    correlation_pyramid,
    instance_norm,
    look_up,
    raft,
    raft_clip,
    upsample_bilinear,
    upsample_convex,
)
from tqd_jax.models.raft.weights import SIZES, load_raft, nested, state_shapes
from tqd_jax.scoring.plugins import raft as scorer
from transfer_jax.runtime.errors import UserError

SHRUNK = dict(widths=(8, 8, 12, 16), features=12, context=6, hidden=8, radius=1, flow=(6, 4), motion=10, head=8)
SHRUNK = {'raft_small': dataclasses.replace(SIZES['raft_small'], **SHRUNK, correlation=(8,)),
          'raft_large': dataclasses.replace(SIZES['raft_large'], **SHRUNK, correlation=(8, 6), mask=8)}
QUICK = {'xla_backend_optimization_level': 0}  # to compile, which is what takes time here
FLOW, FLOW_OF_CLIP = (jax.jit(functools.partial(flow, updates=3), compiler_options=QUICK) for flow in (raft, raft_clip))


def state(sizes, seed=0):
    """A state dict at random; variances are positive."""
    rng = np.random.default_rng(seed)
    fan = {name: math.prod(shape[1:]) for name, shape in state_shapes(sizes).items()}
    draws = {name: rng.normal(size=shape) / fan[name] ** 0.5 for name, shape in state_shapes(sizes).items()}
    return {name: (np.abs(x) + 0.5 if 'running_var' in name else x).astype('f') for name, x in draws.items()}


def steady(sizes, step):
    """Parameters with which every update adds `step` to the flow, whatever is seen."""
    head = 'update_block.flow_head.conv2'
    return nested(state(sizes) | {f'{head}.weight': np.zeros((2, sizes.head, 3, 3), 'f'), f'{head}.bias': np.array(step, 'f')})


def images(count, size=(64, 72), seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (count, *size, 3)).astype('f')


@pytest.mark.parametrize('kind, count', [('raft_small', 990_162), ('raft_large', 5_257_536)])
def test_the_networks_have_as_many_parameters_as_torchvision_states(kind, count):
    assert sum(math.prod(shape) for name, shape in state_shapes(SIZES[kind]).items() if 'running' not in name) == count


@pytest.mark.parametrize('kind', SHRUNK)
def test_a_row_is_its_own_pair_alone(kind):
    params, frames = nested(state(SHRUNK[kind])), images(3)
    both = FLOW(params, frames[:2], frames[1:])
    other = FLOW(params, frames[:2], frames[[1, 0]])
    assert both.shape == (2, 64, 72, 2) and both.dtype == jnp.float32 and np.isfinite(both).all()
    np.testing.assert_allclose(other[0], both[0], atol=1e-5)
    assert np.abs(other[1] - both[1]).max() > 1e-3


def test_a_clip_is_its_pairs():
    params, frames = nested(state(SHRUNK['raft_small'])), images(3)
    np.testing.assert_allclose(FLOW_OF_CLIP(params, frames), FLOW(params, frames[:2], frames[1:]), atol=1e-4)


@pytest.mark.parametrize('kind', SHRUNK)
def test_steady_updates_add_up(kind):
    flow = np.asarray(FLOW(steady(SHRUNK[kind], (0.25, -0.5)), images(2), images(2, seed=1)))
    np.testing.assert_allclose(flow[:, 8:-8, 8:-8] / np.array([3 * 8 * 0.25, -3 * 8 * 0.5]), 1, rtol=1e-5)


def test_a_pyramid_holds_scaled_products_and_their_means():
    one, other = np.random.default_rng(0).normal(size=(2, 1, 9, 12, 5)).astype('f')
    volume, half, *_ = correlation_pyramid(one, other)
    assert [level.shape[3:] for level in correlation_pyramid(one, other)] == [(9, 12), (4, 6), (2, 3), (1, 1)]
    np.testing.assert_allclose(volume[0, 2, 7, 8, 1], one[0, 2, 7] @ other[0, 8, 1] / 5**0.5, rtol=1e-5)
    np.testing.assert_allclose(half[0, 2, 7, 3, 5], np.mean(volume[0, 2, 7, 6:8, 10:12]), rtol=1e-4)


def looked_up(place, radius=2):
    """Volume [9, 11] of one place, and the window [x, y] of its look-up at (x, y)."""
    volume = np.random.default_rng(0).normal(size=(1, 1, 1, 9, 11)).astype('f')
    return volume[0, 0, 0], np.asarray(look_up([volume], jnp.array(place, jnp.float32).reshape(1, 1, 1, 2), radius)).reshape(5, 5)


@pytest.mark.parametrize('x, y', [(5, 4), (0, 8), (10, 0), (12, 4), (-9, 99)])
def test_a_look_up_at_whole_places_is_indexing_and_0_outside(x, y):
    volume, window = looked_up((x, y))
    padded = np.pad(volume, 120)
    np.testing.assert_array_equal(window, padded[y + 118:y + 123, x + 118:x + 123].T)


def test_a_look_up_between_places_is_bilinear():
    (_, whole), (_, right), (_, down), (_, both) = (looked_up(place) for place in ((5, 4), (6, 4), (5, 5), (6, 5)))
    expected = 0.75 * 0.5 * whole + 0.25 * 0.5 * right + 0.75 * 0.5 * down + 0.25 * 0.5 * both
    np.testing.assert_allclose(looked_up((5.25, 4.5))[1], expected, atol=1e-6)


def test_coarse_levels_are_looked_up_at_half_the_place():
    coarse = np.arange(30, dtype='f').reshape(1, 1, 1, 5, 6)
    features = look_up([np.zeros((1, 1, 1, 10, 12), 'f'), coarse], jnp.array([[[[6.0, 4.0]]]]), 0)
    np.testing.assert_allclose(features[0, 0, 0], [0, coarse[0, 0, 0, 2, 3]])


def test_bilinear_upsampling_keeps_corners_and_straight_lines():
    y, x = np.mgrid[0:5, 0:7].astype('f')
    up = upsample_bilinear(np.stack([2 * x - y, x + 3], -1)[None])[0]
    fine_y, fine_x = np.meshgrid(np.linspace(0, 4, 40), np.linspace(0, 6, 56), indexing='ij')
    np.testing.assert_allclose(up, 8 * np.stack([2 * fine_x - fine_y, fine_x + 3], -1), atol=1e-4)


def test_convex_upsampling_takes_the_neighbour_that_the_mask_wants():
    flow = np.random.default_rng(0).normal(size=(1, 4, 5, 2)).astype('f')
    mask = np.full((1, 4, 5, 9, 8, 8), -1e4, 'f')
    mask[..., 4, :, :] = 0  # the place itself, but its left neighbour in the last of a block's rows
    mask[..., 7, :], mask[..., 3, 7, :] = -1e4, 0
    up = np.asarray(upsample_convex(flow, mask.reshape(1, 4, 5, -1))).reshape(4, 8, 5, 8, 2)
    np.testing.assert_allclose(up[:, :7], 8 * np.broadcast_to(flow[0][:, None, :, None], (4, 7, 5, 8, 2)), rtol=1e-5)
    np.testing.assert_allclose(up[:, 7, 1:], 8 * np.broadcast_to(flow[0][:, :-1, None], (4, 4, 8, 2)), rtol=1e-5)
    np.testing.assert_array_equal(up[:, 7, 0], 0)


def test_norms_in_closed_form():
    x = np.random.default_rng(0).normal(3, 2, (2, 8, 9, 4)).astype('f')
    normed = np.asarray(instance_norm(x))
    np.testing.assert_allclose(normed.mean((1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(normed.var((1, 2)), 1, atol=1e-4)
    p = {'weight': np.full(4, 2, 'f'), 'bias': np.full(4, 1, 'f'), 'running_mean': np.full(4, 3, 'f'), 'running_var': np.full(4, 4, 'f')}
    np.testing.assert_allclose(batch_norm(p, x), x - 2, atol=1e-4)


@pytest.fixture(scope='module')
def small_state():
    return state(SIZES['raft_small'])


@pytest.mark.parametrize('kind', SIZES)
def test_a_file_tells_which_network_it_is(kind, tmp_path):
    arrays = state(SIZES[kind])
    np.savez(tmp_path / 'w.npz', **arrays, **{'context_encoder.convnormrelu.1.num_batches_tracked': np.array(3)})
    params, found = load_raft(tmp_path / 'w.npz')
    assert found == kind
    kernel, theirs = params['update_block']['flow_head']['conv1']['weight'], arrays['update_block.flow_head.conv1.weight']
    np.testing.assert_array_equal(kernel[0, 2, 5, 7], theirs[7, 5, 0, 2])


WRONG = {
    'raft_small, lacks 1 tensor, such as feature_encoder.conv.bias;': {'feature_encoder.conv.bias': None},
    'has, beyond what the network takes, 1 tensor, such as feature_encoder.extra;': {'feature_encoder.extra': np.zeros(2, 'f')},
    r'feature_encoder.conv.bias has shape \[3\], raft_small wants \[128\]': {'feature_encoder.conv.bias': np.zeros(3, 'f')},
    'feature_encoder.conv.bias holds NaN': {'feature_encoder.conv.bias': np.full(128, np.nan, 'f')},
    'raft_large, lacks': {'mask_predictor.conv.bias': np.zeros(576, 'f')},
}


@pytest.mark.parametrize('said', WRONG)
def test_tensors_that_do_not_fit_are_named(said, small_state, tmp_path):
    arrays = {name: array for name, array in (small_state | WRONG[said]).items() if array is not None}
    np.savez(tmp_path / 'w.npz', **arrays)
    with pytest.raises(UserError, match=said) as error:
        load_raft(tmp_path / 'w.npz')
    assert str(tmp_path / 'w.npz') in str(error.value) and '\n' not in str(error.value)


def test_a_scorers_version_is_that_of_its_weights(small_state, tmp_path):
    np.savez(tmp_path / 'w.npz', **small_state)
    safetensors.numpy.save_file(small_state, tmp_path / 'w.safetensors')
    np.savez(tmp_path / 'other.npz', **(small_state | {'feature_encoder.conv.bias': np.zeros(128, 'f')}))
    same, copy, other = (scorer.raft(tmp_path / name).version for name in ('w.npz', 'w.safetensors', 'other.npz'))
    assert same == copy != other and 'raft_small' in same


STEP = (0.03, 0.04)  # of the flow's grid an update: 12 of them are 0.6 of it, or 4.8 pixels


@pytest.fixture(scope='module')
def measured():
    """raft_motion and raft_mean of clips [B, 5, 64, 96, 3], all of one shape, for a network that sees the same flow everywhere."""
    raft = scorer.Raft(params=steady(SHRUNK['raft_small'], STEP), version='test', frames=5, size=(64, 96))
    barred = np.random.default_rng(0).integers(1, 256, (5, 64, 96, 3), dtype=np.uint8)
    whole = barred.copy()
    barred[:, :8], barred[:, -8:], barred[:, :, :16], barred[:, :, -16:] = 0, 0, 0, 0
    short, still, held = whole[[0, 1, 2, 2, 2]], whole[[0] * 5], whole[[0, 1, 1, 1, 2]]
    clips = {'whole': whole, 'barred': barred, 'short': short, 'still': still, 'held': held, 'black': np.zeros_like(whole)}
    frames = np.stack(list(clips.values()))
    quick = scorer.flow_sizes.lower(raft.params, frames).compile(compiler_options=QUICK)
    with mock.patch.object(scorer, 'flow_sizes', quick):
        values = {column: np.asarray(value) for column, value in raft(frames).items()}
    return {name: (values['raft_motion'][i], values['raft_mean'][i]) for i, name in enumerate(clips)}


def test_flow_is_in_diagonals_of_the_picture_a_second(measured):
    speed = 4.8 * scorer.RATE
    np.testing.assert_allclose(measured['whole'], speed / np.hypot(64, 96), rtol=1e-4)
    np.testing.assert_allclose(measured['barred'], speed / np.hypot(48, 64), rtol=1e-4)


def test_what_fills_a_clip_up_is_left_out_and_what_stands_still_is_not(measured):
    np.testing.assert_allclose(measured['short'], measured['whole'], rtol=1e-4)
    np.testing.assert_allclose(measured['held'], np.array(measured['whole']) / 2, rtol=1e-4)
    assert measured['still'] == measured['black'] == (0, 0)


def test_the_fastest_are_a_twentieth_of_what_is_seen():
    sizes = np.zeros((1, 4000), 'f')
    sizes[0, ::2] = np.random.default_rng(0).permutation(2000)
    fastest, mean = scorer.pair_means(sizes, jnp.array(2000))
    assert fastest[0] == pytest.approx(np.arange(1900, 2000).mean()) and mean[0] == pytest.approx(999.5)
