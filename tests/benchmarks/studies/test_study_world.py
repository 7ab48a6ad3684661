"""The benchmark world: its statistics against the copula's closed forms, its truth against what is rendered, its degradations' ends."""
import dataclasses
import math

import numpy as np
import pytest

from benchmarks.studies.world import render as rendering
from benchmarks.studies.world.clips import make_clips
from benchmarks.studies.world.degradations import DEGRADATIONS, MOTIONS, degrade_motion, degrade_visual
from benchmarks.studies.world.quality import quality, threshold
from benchmarks.studies.world.world import VOCAB, World
from tqd_jax.clips import scenes
from tqd_jax.text.words import tokenize

SMALL = World(clips=60, seed=3)


@pytest.fixture(scope='module')
def clips():
    return make_clips(SMALL)


def test_a_clip_is_a_function_of_seed_and_index(clips):
    again = make_clips(dataclasses.replace(SMALL, clips=5), [7, 0])
    for field in dataclasses.fields(clips):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(clips.take([7, 0]), field.name))
    assert (make_clips(dataclasses.replace(SMALL, seed=4), [0]).frames != again.frames[1]).any()


@pytest.mark.parametrize(('correlation', 'golden'), [(-0.24, 0.219), (0.6, 0.4)])
def test_quality_has_uniform_marginals_and_the_correlation_and_share_of_the_world(correlation, golden):
    world = World(correlation=correlation, golden=golden)
    mq, vq = np.array([quality(world, index) for index in range(4000)]).T
    bar = threshold(world)
    assert np.corrcoef(mq, vq)[0, 1] == pytest.approx(correlation, abs=4 / math.sqrt(4000))
    assert np.mean(np.minimum(mq, vq) > bar) == pytest.approx(golden, abs=4 * math.sqrt(golden * (1 - golden) / 4000))
    for values in (mq, vq):
        assert np.abs(np.quantile(values, [0.1, 0.5, 0.9]) - [0.1, 0.5, 0.9]).max() < 4 * 0.5 / math.sqrt(4000)


def test_half_of_a_world_without_correlation_is_good_where_a_quarter_is_golden():
    assert threshold(World(correlation=0.0, golden=0.25)) == pytest.approx(0.5, abs=1e-3)


def test_every_clip_is_of_one_quadrant_and_speed_and_severity_follow_its_quality(clips):
    assert (clips.golden.astype(int) + clips.motion_only + clips.visual_only + clips.poor == 1).all()
    assert (np.diff(clips.speed[np.argsort(clips.mq)]) > 0).all() and (np.diff(clips.severity[np.argsort(clips.vq)]) < 0).all()
    moving, fine = clips.golden | clips.motion_only, clips.golden | clips.visual_only
    assert clips.speed[moving].min() >= 0.35 and clips.speed[~moving].max() <= 0.05
    assert clips.severity[fine].max() <= 0.1 and clips.severity[~fine].min() >= 0.5


def test_the_truth_is_that_of_the_scene(clips):
    for row, caption in enumerate(clips.captions):
        scene = rendering.scene(SMALL, row)
        assert scene.caption == caption and (tokenize(caption, 8, 512) == clips.tokens[row]).all()
        assert np.isnan(clips.positions[row]).all((0, 2)).tolist() == (clips.shape[row] < 0).tolist()
        np.testing.assert_allclose(clips.positions[row, 3, 0], scenes.positions(scene.sprites[0], np.array([3 / 8]))[0])
    assert 0.05 < (clips.shape[:, 1] >= 0).mean() < 0.5


def test_no_two_words_share_a_token():
    words = ['a', 'and', *scenes.COLOURS, *scenes.SHAPES]
    assert len({int(tokenize(word, 1, VOCAB)[0]) for word in words}) == len(words)


def test_the_brightest_pixels_are_where_the_truth_says(clips):
    for row in np.flatnonzero(clips.golden & (clips.shape[:, 1] < 0) & (clips.shape[:, 0] == 0))[:4]:
        light = rendering.render_pristine(SMALL, row).max(-1).astype(float)
        light = np.maximum(light - 130, 0)
        grid = (np.arange(16) + 0.5) / 16
        centre = [(light * axis).sum((1, 2)) / light.sum((1, 2)) for axis in (grid, grid[:, None])]
        np.testing.assert_allclose(np.stack(centre, -1), clips.positions[row, :, 0], atol=0.25 / 16)


def test_pristine_and_slowed_copies_show_the_same_scene():
    index = next(i for i in range(60) if rendering.scene(SMALL, i).kind == 'poor')
    moving, still = rendering.render_pristine(SMALL, index), rendering.render_slow(SMALL, index, 0.0)
    np.testing.assert_array_equal(moving[0], still[0])
    np.testing.assert_array_equal(still[0], still[-1])
    np.testing.assert_array_equal(rendering.render_slow(SMALL, index, 1.0), moving)
    assert rendering.scene(SMALL, index, moving=True).motion >= 0.35


def test_larger_frames_average_to_smaller_ones():
    scene = rendering.scene(SMALL, 0)
    large = rendering.render(dataclasses.replace(SMALL, size=64), scene).reshape(8, 16, 4, 16, 4, 3).mean((2, 4))
    np.testing.assert_allclose(rendering.render(SMALL, scene), large, atol=0.51)


@pytest.mark.parametrize('kind', DEGRADATIONS)
def test_visual_quality_worsens_with_severity_and_not_at_all_at_none(kind):
    frames, rng = rendering.render_pristine(SMALL, 1), np.random.default_rng
    np.testing.assert_array_equal(degrade_visual(frames, kind, 0.0, rng(0)), frames)
    away = [np.abs(degrade_visual(frames, kind, s, rng(0)).astype(float) - frames).mean() for s in (0.1, 0.5, 1.0)]
    assert away[0] < away[1] < away[2] and away[0] < away[2] / 2
    if kind == 'colour':
        grey = np.full((2, 16, 16, 3), 77, np.uint8)
        np.testing.assert_array_equal(degrade_visual(grey, kind, 1.0, rng(0)), grey)
        np.testing.assert_allclose(degrade_visual(frames, kind, 1.0, rng(0)), frames[..., [2, 0, 1]], atol=1)


@pytest.mark.parametrize('kind', MOTIONS)
def test_motion_worsens_until_the_clip_is_frozen(kind):
    frames = rendering.render_pristine(SMALL, 1)
    np.testing.assert_array_equal(degrade_motion(frames, kind, 0.0), frames)
    np.testing.assert_array_equal(degrade_motion(frames, kind, 1.0), np.repeat(frames[:1], 8, 0))
    assert {frame.tobytes() for frame in degrade_motion(frames, kind, 0.5)} < {frame.tobytes() for frame in frames}


@pytest.mark.parametrize(('wrong', 'message'), [
    ({'size': 20}, 'size'), ({'sprites': (1, 3)}, r'\(1, 3\)'), ({'golden': 1.0}, '1.0'), ({'degradations': ('rain',)}, 'rain')])
def test_impossible_worlds_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        World(**wrong)


def test_unknown_degradations_are_refused():
    for degrade in (lambda: degrade_visual(np.zeros((2, 16, 16, 3), np.uint8), 'rain', 0.5, None),
                    lambda: degrade_motion(np.zeros((2, 16, 16, 3), np.uint8), 'slow', 1.5)):
        with pytest.raises(ValueError, match='it must be one of'):
            degrade()
