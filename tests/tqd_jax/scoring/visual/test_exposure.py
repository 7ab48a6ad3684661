"""Brightness, contrast, clipping and colour in closed form, and on pictures of every size."""
import cv2
import numpy as np
import pytest

from tqd_jax.scoring.visual.burnt_in.bars import inside_bars
from tqd_jax.scoring.visual.exposure import exposure


def measured(frames):
    return exposure(frames, np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]).astype(np.float32))


def grey(levels):
    return np.repeat(np.asarray(levels, np.uint8)[None, ..., None], 3, axis=-1)


def test_a_ramp_over_all_levels_has_half_the_brightness_and_nine_tenths_of_the_contrast():
    measures = measured(grey(np.tile(np.arange(256), (64, 1))))
    assert measures['brightness'] == pytest.approx(0.5) and measures['contrast'] == pytest.approx(0.9, abs=0.01)
    assert measures['clipped'] == pytest.approx(6 / 256) and measures['colourfulness'] == 0


def test_contrast_and_brightness_follow_a_gain_and_an_offset():
    picture = np.clip(np.random.default_rng(0).normal(128, 30, (200, 300)), 0, 255)
    one, other = measured(grey(picture)), measured(grey(picture / 2 + 20))
    assert one['contrast'] == pytest.approx(2 * 1.645 * 30 / 255, rel=0.03)  # of a normal distribution
    assert other['contrast'] == pytest.approx(one['contrast'] / 2, abs=0.01)
    assert other['brightness'] == pytest.approx(one['brightness'] / 2 + 20 / 255, abs=0.005)


def test_clipped_is_the_share_at_either_end_and_bars_are_not_asked():
    picture = np.full((100, 100), 100)
    picture[:30], picture[70:80] = 255, 0
    assert measured(grey(picture))['clipped'] == pytest.approx(0.4)
    scene = np.random.default_rng(0).integers(20, 230, (2, 100, 100, 3), dtype=np.uint8)
    scene[:, :20] = scene[:, -20:] = 0
    rows, columns = inside_bars(scene[..., 0].astype(np.float32))
    assert measured(scene)['clipped'] == pytest.approx(0.4) and measured(scene[:, rows, columns])['clipped'] == 0


def test_colourfulness_is_the_published_formula():
    red_green = np.zeros((2, 64, 64, 3), np.uint8)
    red_green[:, :32, :, 0] = red_green[:, 32:, :, 1] = 200
    # R - G is +-200, (R + G) / 2 - B is 100 throughout: sigma = 200, mu = 100
    assert measured(red_green)['colourfulness'] == pytest.approx(200 + 0.3 * 100)


def test_colourfulness_falls_with_saturation():
    colours = np.random.default_rng(0).integers(0, 256, (1, 90, 120, 3)).astype(np.float32)
    mean = colours.mean(axis=-1, keepdims=True)
    full, half = (measured((mean + share * (colours - mean)).round().astype(np.uint8))['colourfulness'] for share in (1, 0.5))
    assert half == pytest.approx(full / 2, rel=0.01)


@pytest.mark.parametrize('size', [(16, 16), (16, 300), (270, 481)])
@pytest.mark.parametrize('level', [0, 128, 255])
def test_plain_frames_of_any_size(size, level):
    measures = measured(np.full((1, *size, 3), level, np.uint8))
    assert measures == {'brightness': pytest.approx(level / 255), 'contrast': 0, 'clipped': level != 128, 'colourfulness': 0}
