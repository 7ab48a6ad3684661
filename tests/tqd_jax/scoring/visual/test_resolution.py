"""True resolution: pictures of known spectra scaled by known factors, and real clips scaled down and up."""
import cv2
import numpy as np
import pytest

from tqd_jax.clips.read import read_clip
from tqd_jax.clips.write import write_clip
from tqd_jax.scoring.visual.resolution import resolution

METHODS = {'cubic': cv2.INTER_CUBIC, 'linear': cv2.INTER_LINEAR, 'lanczos': cv2.INTER_LANCZOS4}
NAMES = ('intel_asl_want.mkv', 'finetrainers_GENERATED_hiker.mp4', 'mdn_stream-of-water.mp4', 'sam2_bedroom.mp4', 'fastvideo_crush_030.mp4',
         'imageio_newtonscradle.gif')


def measured(*lumas, scale=1.0):
    return resolution(np.stack(lumas).astype(np.float32), scale)['true_resolution']


def nature(exponent=1.0, size=(480, 640), seed=0):
    """A random picture whose amplitude falls as f^-exponent, in whole grey levels."""
    spectrum = np.fft.rfft2(np.random.default_rng(seed).standard_normal(size))
    radius = np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1]))
    picture = np.fft.irfft2(spectrum / np.maximum(radius, 1 / size[1])**exponent, size)
    return np.clip(128 + 40 * picture / picture.std(), 0, 255).round().astype(np.uint8)


def scaled(picture, across, down, method=cv2.INTER_CUBIC):
    """Shrunk by the two factors, and enlarged again."""
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (round(width / across), round(height / down)), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=method)


@pytest.mark.parametrize('exponent', [1.0, 1.25, 1.5])
def test_a_picture_as_nature_makes_it_fills_its_band(exponent):
    assert measured(nature(exponent)) > 0.9


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('factor', [2, 3, 4])
def test_an_enlarged_picture_has_one_over_the_factor(factor, method):
    pictures = [scaled(nature(1.25, seed=seed), factor, factor, METHODS[method]) for seed in (0, 1)]
    assert measured(*pictures) == pytest.approx(1 / factor, rel=0.25)


def test_axes_count_alike():
    wide, high = (measured(scaled(nature(1.5), *factors)) for factors in ((4, 1), (1, 4)))
    assert wide == pytest.approx(0.5, rel=0.15) and high == pytest.approx(wide, rel=0.05)
    assert measured(nature(1.5).T) == pytest.approx(measured(nature(1.5)))


def test_blur_lowers_it_and_the_contrast_does_not():
    values = [measured(cv2.GaussianBlur(nature(1.5), (0, 0), sigma)) if sigma else measured(nature(1.5)) for sigma in (0, 1, 2, 4)]
    assert values == sorted(values, reverse=True) and values[-1] < 0.2
    assert measured(128 + (nature(1.5) - 128.0) / 2) == pytest.approx(values[0], rel=0.05)


def test_grain_brings_no_detail_back():
    small = scaled(nature(1.5), 3, 3)
    noisy = [np.clip(small + np.random.default_rng(seed).normal(0, 5, small.shape), 0, 255).round() for seed in range(4)]
    assert measured(*noisy) < 0.5


def test_what_a_shrunk_picture_shows_is_a_share_of_its_file():
    picture = scaled(nature(1.5), 3, 3)
    assert measured(picture, scale=0.5) == pytest.approx(measured(picture) / 2)
    assert measured(nature(1.5), scale=0.5) == pytest.approx(measured(nature(1.5)))  # the file may well hold more


@pytest.mark.parametrize('size', [(16, 16), (16, 300), (300, 17)])
def test_plain_and_tiny_frames_are_given_the_benefit_of_the_doubt(size):
    for level in (0, 128, 255):
        assert measured(np.full(size, level)) == 1.0
    assert 0 < measured(np.random.default_rng(0).integers(0, 255, size)) <= 1


@pytest.fixture(scope='module')
def real(real_clips):
    frames = [read_clip(real_clips / name, rate=6, seconds=0.5, short_side=540).frames for name in NAMES]
    return [f[:, :f.shape[1] // 2 * 2, :f.shape[2] // 2 * 2] for f in frames]


def encoded(path, frames, crf=18):
    write_clip(path / 'copy.mp4', frames, 6, crf=crf)
    return measured(*(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in read_clip(path / 'copy.mp4', rate=6).frames))


@pytest.mark.parametrize('method', METHODS)
def test_real_clips_fall_to_one_over_the_factor(real, tmp_path, method):
    before = [measured(*(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in frames)) for frames in real]
    assert min(before) > 0.7
    for factor in (2, 4):
        after = [encoded(tmp_path, np.stack([scaled(f, factor, factor, METHODS[method]) for f in frames])) for frames in real]
        assert (np.array(after) < before).all() and np.median(after) == pytest.approx(1 / factor, rel=0.25), factor


def test_encoding_real_clips_again_changes_little(real, tmp_path):
    for frames, name in zip(real, NAMES, strict=True):
        before = measured(*(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in frames))
        assert encoded(tmp_path, frames, crf=12) == pytest.approx(before, abs=0.05), name
