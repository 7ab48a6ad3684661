"""Halos of edges whose overshoot is known, and pictures whose thin structures go while their large ones stay."""
import cv2
import numpy as np
import pytest

from tqd_jax.scoring.visual.halos import halos
from tqd_jax.scoring.visual.strokes import without_strokes


def steps(sigma=1.0, low=80.0, high=160.0, size=(240, 320)):
    """Upright bars of 40 pixels, blurred."""
    picture = np.where(np.arange(size[1]) // 40 % 2, high, low)
    return cv2.GaussianBlur(np.broadcast_to(picture, size).astype(np.float32), (0, 0), sigma)


def measured(luma):
    return halos(luma[None], [without_strokes(luma)[0]])['halos']


@pytest.mark.parametrize('sigma', [0.7, 1.0, 2.0])
def test_a_blurred_edge_has_none(sigma):
    assert measured(steps(sigma)) < 0.01


@pytest.mark.parametrize('amount', [0.5, 1.0, 2.0])
def test_an_unsharp_mask_overshoots_by_a_known_share(amount):
    luma = steps()
    sharp = luma + amount * (luma - cv2.GaussianBlur(luma, (0, 0), 1.5))
    row = sharp[120, 80:120]  # a dark bar; the one beside it is its mirror image
    known = 2 * (80 - row.min()) / 80  # of which the mean profile, in whole pixels, shows most
    assert 0.5 * known < measured(sharp) <= 1.05 * known


def test_small_frames_have_none():
    assert halos(np.zeros((2, 64, 64), np.float32), [np.zeros((64, 64), np.float32)] * 2) == {'halos': 0.0}


def test_thin_structures_go_and_the_edges_of_large_ones_stay():
    large = np.full((250, 400), 90, np.uint8)
    cv2.rectangle(large, (100, 60), (180, 200), 200, -1)
    marked = cv2.putText(large.copy(), 'thin words', (20, 40), cv2.FONT_HERSHEY_SIMPLEX, 1, 255, 2)
    opened, _ = without_strokes(marked.astype(np.float32))
    assert (opened != large).mean() < 0.01 < (marked != large).mean()
    _, closed = without_strokes(255 - marked.astype(np.float32))
    assert (closed != 255 - large).mean() < 0.01


def test_large_pictures_are_halved_and_tiny_ones_left_alone():
    assert [plain.shape for plain in without_strokes(np.zeros((720, 1280), np.float32))] == [(180, 320)] * 2
    tiny = np.random.default_rng(0).uniform(0, 255, (40, 40)).astype(np.float32)
    assert all(plain is tiny for plain in without_strokes(tiny))


@pytest.mark.parametrize('turn', [np.fliplr, np.flipud, np.transpose])
@pytest.mark.parametrize('size', [(150, 200), (240, 320), (720, 640)])
def test_a_mirrored_picture_has_mirrored_structures_and_the_same_halos(size, turn):
    noise = np.random.default_rng(3).standard_normal(size).astype(np.float32)
    soft = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 9), None, 20, 230, cv2.NORM_MINMAX)
    sharp = np.rint(soft + 3 * (soft - cv2.GaussianBlur(soft, (0, 0), 3)))  # dark and bright sides differ where it clips
    luma = np.clip(sharp, 40, 255).astype(np.float32)
    turned = np.ascontiguousarray(turn(luma))
    for ours, theirs in zip(without_strokes(turned), without_strokes(luma), strict=True):
        np.testing.assert_allclose(ours, turn(theirs), atol=1)
    assert measured(turned) == pytest.approx(measured(luma), rel=1e-3)
