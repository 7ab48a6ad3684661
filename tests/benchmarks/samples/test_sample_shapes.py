"""The classifier of shapes on rendered truth, and what it says where there is none."""
import numpy as np
import pytest

from benchmarks.samples import shapes
from benchmarks.samples.truth import LIBRARY, clean_clips, library_clips, scenes_of
from tqd_jax.clips import scenes


@pytest.fixture(scope='module')
def classifier():
    return shapes.train(count=40)


@pytest.mark.parametrize('side', [32, 64, 48])
@pytest.mark.parametrize('how', ['clean', 'library'])
def test_shapes_of_other_scenes_are_named(classifier, side, how):
    """48 pixels, on which it was not trained, too."""
    crops, shape = shapes.outlines(77, 40, side, how)
    assert set(shape) == set(range(5))
    assert (classifier.of_clips(crops) == shape).mean() >= 0.95
    assert (classifier.of_frames(crops).argmax(-1) == shape[:, None]).mean() >= 0.95


def test_training_is_the_same_every_time():
    first, second = shapes.train(count=10), shapes.train(count=10)
    np.testing.assert_array_equal(first.model.coef_, second.model.coef_)


def test_nothing_lit_has_no_shape(classifier):
    crops = np.zeros((2, 3, 16, 16), np.float32)
    assert not classifier.of_frames(crops).any() and (classifier.of_clips(crops) == -1).all()


def test_a_clip_is_judged_by_all_its_frames(classifier):
    crops, shape = shapes.outlines(77, 12, 32, 'clean')
    crops[:, 0] = 0  # an object may be away for a while
    assert (classifier.of_clips(crops) == shape).all()


def test_the_second_classifier_is_another_one_and_agrees(classifier):
    crops, shape = shapes.outlines(77, 40, 32, 'clean')
    second = shapes.train('kernel', count=40)
    assert not hasattr(second.model, 'coef_') or second.model.kernel != 'linear'
    assert (second.of_clips(crops) == shape).mean() >= 0.95


def test_scenes_have_one_sprite_and_are_those_of_the_library():
    pairs = scenes_of(3, 12)
    assert all(len(scene.sprites) == 1 and scene == scenes.scene(LIBRARY + 3, index) for index, scene in pairs)
    assert [index for index, _ in pairs] == sorted({index for index, _ in pairs})
    assert {scene.caption for _, scene in pairs} != {scene.caption for _, scene in scenes_of(4, 12)}


def test_clean_clips_are_the_rendered_ones():
    pairs = scenes_of(0, 2)
    np.testing.assert_array_equal(clean_clips(pairs, (4, 64, 64), 8)[1], scenes.render(pairs[1][1], size=64, fps=8, count=4))
    small = clean_clips(pairs, (4, 32, 32), 8)
    average = scenes.render(pairs[1][1], size=64, fps=8, count=4).reshape(4, 32, 2, 32, 2, 3).mean((2, 4))
    assert abs(small[1] - average).max() <= 1


@pytest.mark.parametrize('shape', [(8, 32, 32), (17, 64, 64), (40, 32, 32)])
def test_clips_of_the_library_are_its_scenes_degraded(shape):
    pairs = scenes_of(0, 3)
    clips = library_clips(pairs, 0, shape, 12)
    assert clips.shape == (3, *shape, 3) and clips.dtype == np.uint8
    away = np.abs(clips.astype(float) - clean_clips(pairs, shape, 12)).mean((1, 2, 3, 4))
    assert (away > 0).all() and away.max() < 25
