"""The table of losses: means by hand, padding left out, empty quadrants told apart, fixed batches."""
import dataclasses
import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tqd_jax.config import Config, Train
from tqd_jax.data.batch import uniform_batch
from tqd_jax.diffusion.objective import Objective, init_frozen
from tqd_jax.diffusion.path import Path
from tqd_jax.latents.pixels import PixelCodec
from tqd_jax.text.words import HashedWords
from tqd_jax.timesteps.quadrants import QUADRANTS
from tqd_jax.training.evaluation import NOISE_BINS, ValidationBatch, loss_scalars, loss_table, motion_and_visual, validation_batches
from tqd_jax.training.programs import compile_eval
from tqd_jax.training.step import eval_step
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.mesh import make_mesh


def batch(quadrant, real, bucket=0, value=0.0):
    size = len(quadrant)
    return ValidationBatch(bucket=bucket, batch=np.full(size, value), quadrant=np.array(quadrant),
                           place=np.linspace(0, 0.9, size), real=np.array(real))


def fake(bucket, weights, values, t):
    """A loss that shows its arguments: row, noise bin and batch."""
    return weights * np.arange(len(t)) + 100 * np.floor(10 * t) + values + 1000 * bucket


def test_the_table_is_the_mean_of_each_quadrant_in_each_noise_bin():
    loss, count = loss_table(fake, 2.0, [batch([0, 0, 3, 2], [True] * 4, value=5.0), batch([3, 2], [True, True], bucket=1)])
    noise = 100 * np.arange(10)
    np.testing.assert_allclose(loss[0], noise + 5 + (0 + 2) / 2)
    np.testing.assert_allclose(loss[2], noise + (5 + 6 + 1000 + 2) / 2)
    np.testing.assert_allclose(loss[3], noise + (5 + 4 + 1000) / 2)
    assert np.isnan(loss[1]).all() and loss.dtype == np.float64
    np.testing.assert_array_equal(count, np.repeat([[2], [0], [2], [2]], 10, axis=1))


def test_padding_counts_for_nothing():
    whole = loss_table(fake, 1.0, [batch([1, 0, 1], [True] * 3)])
    rows = batch([1, 0, 1, 3, 3], [True, True, True, False, False])
    padded = loss_table(fake, 1.0, [dataclasses.replace(rows, place=np.append(np.linspace(0, 0.9, 3), [0.1, 0.2]))])
    np.testing.assert_array_equal(whole, padded)


def test_every_clip_is_asked_about_once_in_every_noise_bin():
    seen = []
    loss_table(lambda bucket, params, arrays, t: (seen.append(t), t)[1], None, [batch([0] * 7, [True] * 7)])
    assert all(t.dtype == np.float32 for t in seen)
    np.testing.assert_array_equal(np.floor(10 * np.stack(seen) + 1e-5), np.repeat(np.arange(NOISE_BINS)[:, None], 7, axis=1))


def test_the_scalars_weigh_every_clip_the_same():
    loss, count = np.full((4, 10), np.nan), np.zeros((4, 10))
    loss[0], count[0], loss[3], count[3] = 1.0, 6, 4.0, 2
    loss[3, 9] = 12.0
    scalars = loss_scalars(loss, count)
    assert scalars['val/loss'] == pytest.approx((6 * 1 + 2 * (9 * 4 + 12) / 10) / 8)
    assert scalars['val/golden'] == pytest.approx((9 * 4 + 12) / 10) and scalars['val/poor'] == 1.0
    assert 'val/visual' not in scalars and 'val/motion' not in scalars
    assert scalars['val/t0.9'] == pytest.approx((6 * 1 + 2 * 12) / 8) and scalars['val/t0.0'] == pytest.approx((6 + 8) / 8)
    assert QUADRANTS[0] == 'poor' and QUADRANTS[3] == 'golden'


def test_a_loss_that_is_not_finite_shows():
    count = np.eye(4, 10)
    scalars = loss_scalars(np.where(count > 0, [[1.0], [np.nan], [np.inf], [1.0]], np.nan), count)
    assert np.isnan(scalars['val/loss']) and np.isnan(scalars['val/visual']) and scalars['val/motion'] == np.inf
    assert scalars['val/golden'] == scalars['val/poor'] == 1.0


@dataclasses.dataclass(frozen=True)
class FakeLibrary:
    """What validation_batches wants of a Library."""
    ids: np.ndarray
    bucket: np.ndarray
    mq: np.ndarray
    vq: np.ndarray


@dataclasses.dataclass(frozen=True)
class Clips:
    """Stands for a Batch: the arguments of the call."""
    clip: np.ndarray
    crop: str
    example: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class FakeLoader:
    """What it wants of a Loader."""
    batch: int
    crop: str = 'random'
    seed: int = 0

    @property
    def rows(self):
        return np.arange(self.batch)

    def __call__(self, number, clips):
        return Clips(clip=clips, crop=self.crop)


def test_fixed_batches_hold_every_clip_once_by_bucket():
    library = FakeLibrary(ids=np.arange(9, dtype=np.uint64), bucket=np.array([0, 1] * 4 + [0]), mq=np.linspace(0, 1, 9), vq=np.full(9, 0.7))
    rows = np.array([0, 1, 2, 4, 6, 7, 8])
    batches = validation_batches(library, FakeLoader(batch=4), rows)
    assert [one.bucket for one in batches] == [0, 0, 1] and all(one.batch.crop == 'center' for one in batches)
    held = [one.batch.clip[one.real].tolist() for one in batches]
    assert held == [[0, 2, 4, 6], [8], [1, 7]] and all(len(one.batch.clip) == 4 for one in batches)
    np.testing.assert_array_equal(batches[0].quadrant, [1, 1, 3, 3])  # mq 0, 1/4, 1/2, 3/4 at vq 0.7
    again = validation_batches(library, FakeLoader(batch=8), rows)
    level_of = lambda found: {c: x for one in found for c, x in zip(one.batch.clip.tolist(), one.place.tolist(), strict=True)}
    assert level_of(batches) == level_of(again), 'a clip is asked about other timesteps in another batch'


def test_a_clips_loss_does_not_depend_on_the_others(monkeypatch):
    """Losses of a model with one parameter, whose noise is drawn as in a run: of all clips, and of a few in another order and place."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (9, 2, 4, 4, 3)).astype(np.uint8)
    monkeypatch.setattr(FakeLoader, '__call__', lambda self, number, clips: dataclasses.replace(
        uniform_batch(frames[clips], np.zeros((len(clips), 1), np.int32)), clip=clips))
    library = FakeLibrary(ids=rng.integers(0, 2**64, 9, np.uint64), bucket=np.zeros(9, int), mq=rng.random(9), vq=rng.random(9))
    objective = Objective(model=lambda params, frozen, x, t, text: params * x, codec=PixelCodec(),
                          text=HashedWords(length=1, vocab=2), path=Path(), seed=0)
    evaluate = jax.jit(functools.partial(eval_step, objective))

    def losses(rows, batch):
        found = {}
        for one in validation_batches(library, FakeLoader(batch=batch), np.array(rows)):
            loss = evaluate(jnp.float32(0.5), init_frozen(objective, {}), one.batch, one.place.astype(np.float32))
            found |= dict(zip(one.batch.clip[one.real].tolist(), np.asarray(loss)[one.real].tolist(), strict=True))
        return found

    everyone, few = losses(range(9), 4), losses([2, 4, 7, 8], 3)
    assert few == pytest.approx({clip: everyone[clip] for clip in few}, rel=1e-6) and len(few) == 4
    examples = [one.batch.example for one in validation_batches(library, FakeLoader(batch=9), np.arange(9))]
    assert examples[0].dtype == np.uint32 and len(set(examples[0].tolist())) == 9


def test_motion_and_visual_follow_what_is_in_the_clips():
    rng = np.random.default_rng(0)
    still = np.kron(rng.integers(40, 216, (1, 8, 8, 3)), np.ones((8, 8, 8, 1))).astype(np.uint8)
    moves = np.stack([np.roll(still[0], 3 * i, axis=1) for i in range(8)])
    record = motion_and_visual(np.stack([still, moves]), 8.0)
    assert record['motion'][1] > record['motion'][0] and len(record['visual']) == 2
    assert all(isinstance(value, float) for values in record.values() for value in values)


def test_a_batch_that_does_not_divide_over_the_devices_is_refused_in_one_line():
    run = types.SimpleNamespace(config=Config(train=Train(batch=8)), mesh=make_mesh(devices=jax.devices()[:3]))
    with pytest.raises(UserError, match='a batch of 8 does not divide over 3 devices'):
        compile_eval(run)
