"""The camera's motion: affine flows recovered exactly, in spite of what moves against them, and none where nothing is known."""
import numpy as np
import pytest

from tqd_jax.scoring.motion.camera import camera_flow

HEIGHT, WIDTH = 48, 64
Y, X = np.mgrid[-1:1:HEIGHT * 1j, -1:1:WIDTH * 1j]


def affine(constant, x, y):
    """The flow (u, v) = constant + x X + y Y [1, h, w, 2] in float32."""
    flow = np.array(constant) + X[..., None] * np.array(x) + Y[..., None] * np.array(y)
    return flow[None].astype(np.float32)


MOTIONS = {'rest': affine((0, 0), (0, 0), (0, 0)), 'pan': affine((0.02, -0.01), (0, 0), (0, 0)),
           'zoom': affine((0, 0), (0.01, 0), (0, 0.01)), 'roll': affine((0, 0), (0, 0.01), (-0.01, 0)),
           'shear': affine((0.005, 0), (0, 0), (0.01, 0))}
EVERYWHERE = np.ones((1, HEIGHT, WIDTH), np.float32)


@pytest.mark.parametrize('name', MOTIONS)
def test_an_affine_flow_is_all_the_cameras(name):
    camera = camera_flow(MOTIONS[name], EVERYWHERE)
    assert camera.shape == (1, HEIGHT, WIDTH, 2) and camera.dtype == np.float32
    np.testing.assert_allclose(camera, MOTIONS[name], atol=1e-6)


@pytest.mark.parametrize('name', MOTIONS)
@pytest.mark.parametrize('where', [np.s_[:, 12:36, 16:48], np.s_[:, :, :9], np.s_[:, 40:]], ids=['middle', 'left', 'below'])
def test_a_part_of_the_picture_that_moves_against_it_hardly_matters(name, where):
    """A quarter in the middle, or a sixth along one border; more at a border passes for roll and shear, which is the fit's limit."""
    flow, against = MOTIONS[name].copy(), (0.05, 0.03)
    flow[where] += against
    assert off(camera_flow(flow, EVERYWHERE), name) < 0.04 * np.hypot(*against) < off(least_squares(flow), name) / 3


def off(camera, name):
    """The largest error of a camera's flow."""
    return np.linalg.norm(camera - MOTIONS[name], axis=-1).max()


def least_squares(flow):
    basis = np.stack([np.ones_like(X), X, Y], -1).reshape(-1, 3)
    return (basis @ np.linalg.lstsq(basis, flow.reshape(-1, 2), rcond=None)[0]).reshape(flow.shape)


def test_vectors_without_weight_are_not_asked():
    flow, weight = MOTIONS['zoom'].copy(), EVERYWHERE.copy()
    flow[:, 10:], weight[:, 10:] = 7.0, 0.0
    np.testing.assert_allclose(camera_flow(flow, weight), MOTIONS['zoom'], atol=1e-4)


def test_noise_averages_out():
    noise = np.random.default_rng(0).normal(0, 0.002, (1, HEIGHT, WIDTH, 2)).astype(np.float32)
    np.testing.assert_allclose(camera_flow(MOTIONS['pan'] + noise, EVERYWHERE), MOTIONS['pan'], atol=5e-4)


def test_pairs_of_pictures_do_not_see_each_other():
    flows = np.concatenate(list(MOTIONS.values()))
    weights = np.random.default_rng(1).uniform(size=flows.shape[:3]).astype(np.float32)
    alone = np.concatenate([camera_flow(flow[None], weight[None]) for flow, weight in zip(flows, weights, strict=True)])
    np.testing.assert_allclose(camera_flow(flows, weights), alone, atol=1e-7)


def test_without_any_weight_there_is_no_motion():
    np.testing.assert_allclose(camera_flow(MOTIONS['pan'], 0 * EVERYWHERE), 0, atol=1e-6)
