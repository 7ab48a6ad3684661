"""Straightness and speed against closed forms, and whole clips whose worth is known."""
import numpy as np
import pytest

from benchmarks.samples import shapes
from benchmarks.samples.measure import measure, straightness, summarise
from benchmarks.samples.rows import shuffled
from benchmarks.samples.truth import clean_clips, scenes_of
from tqd_jax.clips import scenes

FRAMES, FPS, RADIUS = 17, 12, 0.2
TIMES = np.arange(FRAMES) / FPS


@pytest.fixture(scope='module')
def classifiers():
    return shapes.train(count=40), shapes.train('kernel', count=40)


def of_paths(*paths):
    positions = np.stack(paths).astype(np.float32)
    return straightness(positions, np.ones(positions.shape[:2], np.float32), np.full(len(positions), RADIUS, np.float32), FPS)


def straight_path(velocity=(0.3, 0.2), start=(0.3, 0.3)):
    return np.array(start) + TIMES[:, None] * velocity


def circle(radius, turns):
    angle = 2 * np.pi * turns * TIMES / TIMES[-1]
    return 0.5 + radius * np.stack([np.cos(angle), np.sin(angle)], -1)


def test_a_straight_path_is_straight_and_its_speed_is_known():
    found = of_paths(straight_path())
    assert found['speed'][0] == pytest.approx(np.hypot(0.3, 0.2) / np.sqrt(2), rel=0.02) and found['moves'].all()
    assert found['straight'][0] > 0.98 and found['r2'][0] > 0.999


def test_a_bounce_is_straight_too():
    sprite = scenes.Sprite(shape='disc', colour='red', radius=RADIUS, start=(0.4, 0.6), velocity=(0.9, -0.5), angle=0.0)
    found = of_paths(scenes.positions(sprite, TIMES))
    assert found['speed'][0] == pytest.approx(np.hypot(0.9, 0.5) / np.sqrt(2), rel=0.03)
    assert found['straight'][0] > 0.98 and found['r2'][0] > 0.999


def test_what_stands_still_does_not_move_and_has_no_r2():
    found = of_paths(np.full((FRAMES, 2), 0.5))
    assert found['speed'][0] < 0.02 and not found['moves'].any() and np.isnan(found['r2'][0]) and found['straight'][0] > 0.98


def test_a_path_with_frames_beside_it_loses_what_they_are_away():
    """Four of 17 frames lie `away` beside the path: the path with the least mean distance is still the path of the others."""
    away, there = 0.08, straight_path()
    beside = there.copy()
    beside[[3, 6, 10, 14]] += away * np.array([-0.2, 0.3]) / np.hypot(0.2, 0.3) * np.array([[1], [-1], [1], [-1]])
    found = of_paths(beside)
    assert found['straight'][0] == pytest.approx(1 - 4 / 17 * away / 0.195, abs=0.015)
    spread = np.square(beside - beside.mean(0)).sum(-1).mean()
    assert found['r2'][0] == pytest.approx(1 - 4 / 17 * away**2 / spread, abs=0.01)


def test_a_circle_is_as_straight_as_its_radius_lets_it_be():
    """The nearest path of a small circle is its middle, at the circle's radius from every point."""
    found = of_paths(*(circle(radius, 3) for radius in (0.03, 0.06, 0.12)))
    assert (np.diff(found['straight']) < 0).all()
    assert found['straight'][0] == pytest.approx(1 - 0.03 / 0.195, abs=0.05)
    assert found['straight'][2] < 0.65


def test_frames_in_random_order_have_no_path():
    whole = np.stack([straight_path((0.3, 0.2), start) for start in ((0.3, 0.3), (0.25, 0.4), (0.35, 0.35))])
    mixed = shuffled(whole, 0)
    np.testing.assert_array_equal(np.sort(mixed, axis=1), np.sort(whole, axis=1))
    assert of_paths(*mixed)['straight'].max() < 0.85 < of_paths(*whole)['straight'].min()


@pytest.fixture(scope='module', params=[(8, 32, 8), (17, 64, 12)], ids=['pixels', 'latents'])
def rendered(request):
    frames, side, fps = request.param
    pairs = scenes_of(50, 32)
    return clean_clips(pairs, (frames, side, side), fps), [scene.caption for _, scene in pairs], fps, pairs


def test_rendered_clips_pass_in_all(rendered, classifiers):
    clips, captions, fps, pairs = rendered
    found = measure(clips, captions, fps, *classifiers)
    assert found['right'].mean() >= 0.95 and found['steady'].mean() > 0.95 and found['agree'].mean() > 0.95
    true = np.array([scene.motion for _, scene in pairs])
    np.testing.assert_array_equal(found['moves'], true > 0.2)
    np.testing.assert_allclose(found['speed'], true, atol=0.04)
    assert found['straight'].min() > 0.9 and np.nanmin(found['r2']) > 0.98
    assert summarise(found, found)['distance'] == 0


def test_captions_of_others_are_wrong_in_shape_or_colour_as_they_are(rendered, classifiers):
    clips, captions, fps, _ = rendered
    wrong = captions[1:] + captions[:1]
    found = measure(clips, wrong, fps, *classifiers)
    alike = lambda word: np.array([one.split()[word] == other.split()[word] for one, other in zip(captions, wrong, strict=True)])
    assert (found['shape'] == alike(2)).mean() >= 0.9
    assert found['whole'][~alike(1)].mean() <= 0.1
    assert found['right'][~alike(1) | ~alike(2)].mean() <= 0.1


def test_black_clips_are_nothing(classifiers):
    found = measure(np.zeros((2, 8, 32, 32, 3), np.uint8), ['a red disc', 'a white star'], 8, *classifiers)
    assert not found['whole'].any() and not found['shape'].any() and (found['predicted'] == -1).all() and not found['steady'].any()


def test_a_summary_is_means_and_what_answers_would_score_by_chance():
    found = {'predicted': np.array([0.0, 0, 1, -1]), 'captioned': np.array([0.0, 1, 1, 2]), 'moves': np.array([1.0, 0, 0, 1]),
             'r2': np.array([0.5, np.nan, np.nan, 0.7]), 'speed': np.array([0.5, 0, 0, 0.5]), 'shape': np.array([1.0, 0, 1, 0])}
    one = summarise(found, found | {'speed': np.array([0.7, 0.2, 0.2, 0.7])})
    pairs = [a == b for a in found['predicted'] for b in found['captioned']]
    assert one['chance'] == pytest.approx(np.mean(pairs)) and one['r2'] == pytest.approx(0.6)
    assert one['distance'] == pytest.approx(0.2) and one['shape'] == 0.5 and 'predicted' not in one
