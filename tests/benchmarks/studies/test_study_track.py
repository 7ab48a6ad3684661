"""Tracking against the truth of rendered scenes, and the fit of bouncing paths against closed forms."""
import math

import numpy as np
import pytest
from study_small import SIZES

from benchmarks.studies.measures import templates, track
from benchmarks.studies.measures.paths import fit_paths
from benchmarks.studies.world.clips import golden_clips
from benchmarks.studies.world.render import render
from tqd_jax.clips import scenes


def sprite(**changes):
    return scenes.Sprite(**{'shape': 'disc', 'colour': 'blue', 'radius': 0.2, 'start': (0.3, 0.5), 'velocity': (0.6, 0.5), 'angle': 0.4}
                         | changes)


def shown(one, world):
    return render(world, scenes.Scene(kind='golden', sprites=(one,), colours=((60.0, 60, 70), (70.0, 65, 60)), angle=1.0, phase=(0.3, 2.0)))


@pytest.mark.parametrize('size', ['tiny', 'small'])
@pytest.mark.parametrize('shape', scenes.SHAPES)
def test_every_shape_is_found_to_a_tenth_of_a_coarse_pixel(shape, size):
    world, one = SIZES[size], sprite(shape=shape, colour='yellow')
    found = track.track(shown(one, world)[None], np.array([scenes.SHAPES.index(shape)]), np.array([3]))
    true = scenes.positions(one, np.arange(world.frames) / world.fps)
    assert np.abs(found.positions[0] - true).max() < 0.15 / 16 and np.abs(found.positions[0] - true).mean() < 0.05 / 16
    assert found.radius[0] == pytest.approx(0.2, abs=0.05 / 16)
    assert found.scores[0].argmax() == scenes.SHAPES.index(shape) * 6 + 3 and found.score.min() > 0.8


def test_a_drawn_sprite_is_what_scenes_renders():
    one, world = sprite(velocity=(0.0, 0.0)), SIZES['tiny']
    frame = shown(one, world)[0]
    grid = (np.arange(16, dtype=np.float32) + 0.5) / 16
    cover = templates.supersample(lambda x, y: templates.coverage('disc', 0.2, x - 0.3, y - 0.5, 64), grid, grid, 16)
    assert cover.sum() / 256 == pytest.approx(math.pi * 0.2**2, rel=1e-2)
    inside = cover > 0.999
    np.testing.assert_allclose(frame[inside], np.broadcast_to(templates.LIT * templates.COLOURS[2], frame[inside].shape), atol=16)


def test_windows_hold_the_pixels_around_a_place_and_repeat_the_border():
    picture = np.arange(256, dtype=np.float32).reshape(1, 1, 16, 16, 1).repeat(3, -1)
    patches, x, y = templates.windows(picture, np.array([[[0.03, 0.53]]]))
    half = patches.shape[2] // 2
    assert patches[0, 0, half, half, 0] == 8 * 16 and patches[0, 0, half, 0, 0] == 8 * 16
    assert x[0, 0, half] * 16 == pytest.approx(0.5) and y[0, 0, half] * 16 == pytest.approx(8.5)


def test_the_best_half_of_frames_is_half_of_them_and_sum_to_one():
    np.testing.assert_allclose(track.best_half(np.array([[0.1, 0.9, 0.5, 0.7], [4, 3, 2, 1]])), [[0, 0.5, 0, 0.5], [0.5, 0.5, 0, 0]])


@pytest.mark.parametrize('velocity', [(0.0, 0.0), (0.5, 0.0), (0.9, 0.9), (-1.2, 0.3), (0.04, -0.02)])
def test_paths_are_found_whatever_their_bounces(velocity):
    times = np.arange(8) / 8
    places = scenes.positions(sprite(velocity=velocity), times).astype(np.float32)
    found, paths = fit_paths(places[None], np.ones((1, 8), np.float32), np.full(1, 0.2, np.float32), 8)
    np.testing.assert_allclose(found[0], np.abs(velocity), atol=5e-3)
    np.testing.assert_allclose(paths[0], places, atol=2e-3)


def test_hidden_frames_do_not_steer_a_path():
    places = scenes.positions(sprite(), np.arange(8) / 8).astype(np.float32)
    wrong = places.copy()
    wrong[[2, 5]] = 0.9
    found, _ = fit_paths(wrong[None], np.ones((1, 8), np.float32), np.full(1, 0.2, np.float32), 8)
    np.testing.assert_allclose(found[0], (0.6, 0.5), atol=1e-2)


def test_nothing_is_tracked_without_failing():
    for frames in (np.zeros((2, 8, 16, 16, 3)), np.random.default_rng(0).uniform(0, 255, (2, 8, 16, 16, 3)).astype(np.float32)):
        found = track.track(frames.astype(np.float32), np.array([0, 3]), np.array([1, 5]))
        assert all(np.isfinite(value).all() for value in vars(found).values())
        assert found.scores.max() < 0.5


def test_golden_clips_of_one_sprite_are_followed(world=SIZES['tiny']):
    clips = golden_clips(world, 24)
    alone = clips.take(clips.shape[:, 1] < 0)
    found = track.track(alone.frames, alone.shape[:, 0], alone.colour[:, 0])
    assert np.median(np.abs(found.positions - alone.positions[:, :, 0])) < 0.05 / 16
