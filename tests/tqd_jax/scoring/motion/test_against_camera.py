"""A camera that moves over a still with blank walls: what flow leaves there, and what comes in at the border, is no object's motion."""
import cv2
import numpy as np
import pytest

from tqd_jax.scoring.motion.motion import motion

RATE, FRAMES, SIZE = 12, 19, (96, 128)


def person():
    """A dark figure with some texture before a pale wall whose light falls off, and a shelf that the border cuts, uint8 [H, W, 3]."""
    rng, (height, width) = np.random.default_rng(0), SIZE
    y, x = np.mgrid[:height, :width].astype(np.float32)
    wall = 200 - 0.2 * y - 0.1 * x
    cv2.ellipse(wall, (70, 90), (26, 42), 0, 0, 360, 50, -1, cv2.LINE_AA)
    cv2.circle(wall, (70, 36), 13, 120, -1, cv2.LINE_AA)
    cv2.rectangle(wall, (0, 55), (24, 96), 70, -1)
    wall[60:, 45:95] += cv2.GaussianBlur(rng.normal(0, 60, (36, 50)).astype(np.float32), (0, 0), 1.5)
    return np.repeat(np.clip(wall, 0, 255).round().astype(np.uint8)[..., None], 3, -1)


def filmed(shifts, zooms):
    height, width = SIZE
    views = [np.float32([[1 / zoom, 0, (1 - 1 / zoom) * width / 2 + x], [0, 1 / zoom, (1 - 1 / zoom) * height / 2 + y]])
             for (x, y), zoom in zip(shifts, zooms, strict=True)]
    return np.stack([cv2.warpAffine(person(), view, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP) for view in views])


NUMBER = np.arange(FRAMES)
CAMERAS = {
    'pan': filmed(np.c_[0.6 * NUMBER - 5, 0 * NUMBER], np.full(FRAMES, 1.25)),
    'zoom': filmed(np.zeros((FRAMES, 2)), 1.05 * 1.01**NUMBER),
    'shaking': filmed(np.random.default_rng(1).uniform(-2, 2, (FRAMES, 2)), np.full(FRAMES, 1.25)),
}


@pytest.mark.parametrize('name', CAMERAS)
def test_nothing_moves_against_a_camera_over_a_still(name):
    raw = motion(CAMERAS[name], NUMBER / RATE)
    assert raw['motion_object'] < 0.004 and raw['jerk'] > 0


def test_a_thing_that_passes_still_moves_against_the_camera():
    frames = CAMERAS['pan'].copy()
    for number, frame in enumerate(frames):
        cv2.circle(frame, (20 + 4 * number, 20), 7, (30, 30, 30), -1, cv2.LINE_AA)
    expected = 4.6 * RATE / np.hypot(*SIZE)
    assert 0.6 * expected < motion(frames, NUMBER / RATE)['motion_object'] < 1.4 * expected
