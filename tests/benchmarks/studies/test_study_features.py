"""The Frechet distance against closed forms, and what the shipped network knows."""
import numpy as np
import optax
import pytest
from study_small import SIZES

from benchmarks.studies.measures import features
from benchmarks.studies.world.clips import golden_clips
from benchmarks.studies.world.world import World


def test_frechet_of_commuting_gaussians_is_the_closed_form():
    first, second = np.array([1.0, 4.0, 9.0]), np.array([4.0, 4.0, 1.0])
    turn, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))
    mean = np.array([1.0, -2.0, 0.5])
    found = features.frechet(mean, turn * first @ turn.T, np.zeros(3), turn * second @ turn.T)
    assert found == pytest.approx((mean**2).sum() + ((np.sqrt(first) - np.sqrt(second)) ** 2).sum(), rel=1e-9)


def test_frechet_is_symmetric_zero_at_home_and_stands_singular_covariances():
    rng = np.random.default_rng(1)
    first, second = (features.gaussian(rng.standard_normal((20, 30)) * scale) for scale in (1, 2))
    assert features.frechet(*first, *first) == pytest.approx(0, abs=1e-5)
    assert features.frechet(*first, *second) == pytest.approx(features.frechet(*second, *first), rel=1e-5)


def test_the_shipped_network_tells_shape_colour_and_speed():
    clips = golden_clips(World(seed=9), 200)
    with np.load(features.SHIPPED) as file:
        assert int(file['version']) == features.VERSION
        weights = {name: file[name].astype(np.float32) for name in file.files if name != 'version'}
    assert sum(w.size for w in weights.values()) < 100_000 and features.SHIPPED.stat().st_size < 500_000
    out, truth = np.asarray(features.predict(weights, clips.frames.astype(np.float32))), features.labels(clips)
    right = ((out > 0) == (truth > 0.5))[:, :-1]
    assert right[:, 5:].mean() > 0.97 and right[:, :5].mean() > (truth[:, :5] < 0.5).mean() + 0.05
    assert np.corrcoef(out[:, -1], truth[:, -1])[0, 1] > 0.8


def test_large_clips_have_the_features_of_their_averages():
    clips = golden_clips(SIZES['small'], 3)
    small = clips.frames[:, ::4].reshape(3, 8, 16, 4, 16, 4, 3).mean((3, 5))
    found = features.features(clips.frames)
    assert found.shape == (3, 64) and found.dtype == np.float32
    np.testing.assert_allclose(found, features.features(small), rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match='pixels a side'):
        features.features(np.zeros((1, 6, 16, 16, 3)))


def test_training_lowers_the_loss(monkeypatch):
    monkeypatch.setattr(features, 'BATCH', 24)
    clips = golden_clips(World(seed=9), 24)
    target = features.labels(clips)
    out = features.predict(features.train(clips.frames, target, steps=20), clips.frames.astype(np.float32))
    loss = np.asarray(optax.sigmoid_binary_cross_entropy(out[:, :-1], target[:, :-1]))
    assert loss.mean() < np.log(2)  # where it starts, since the last layer starts at zero
