"""Batches from real files: full under dropout, mixed as asked, nothing lost, the same for any worker, host or resume."""
import dataclasses
import signal
import threading

import grain
import jax
import numpy as np
import pytest

from tqd_jax.clips.strings import Strings
from tqd_jax.clips.write import write_clip
from tqd_jax.data import loader as pipeline
from tqd_jax.data.batch import batch_spec
from tqd_jax.data.buckets import Bucket
from tqd_jax.data.frames import FrameStore, crop
from tqd_jax.data.library import Library
from tqd_jax.data.loader import Loader, iterate, make_batches
from tqd_jax.latents.pixels import PixelCodec
from tqd_jax.text.words import HashedWords
from tqd_jax.timesteps.quality import LawConfig
from transfer_jax.runtime.errors import UserError

N, B, FPS = 12, 4, 8.0
BUCKETS = (Bucket(width=16, height=16, frames=4), Bucket(width=24, height=16, frames=4))


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
    """Twelve clips of 1 s whose grey level is 16 times their number plus 2 times their frame's; the last three are wide."""
    folder = tmp_path_factory.mktemp('clips')
    for number in range(N):
        width = 48 if number >= 9 else 32
        levels = (number * 16 + 2 * np.arange(8)).astype(np.uint8)
        frames = np.broadcast_to(levels[:, None, None, None], (8, 32, width, 3))
        write_clip(folder / f'{number:02d}.mp4', frames, FPS, crf=0, pix_fmt='yuv444p')
    return folder


def library(folder, acceptance=1.0, rates=(0.5, 0.5)):
    wide = np.arange(N) >= 9
    return Library(
        paths=Strings.of(str(folder / f'{number:02d}.mp4') for number in range(N)), ids=np.arange(N, dtype=np.uint64) * np.uint64(7919),
        source=np.arange(N) % 2, source_names=('web', 'studio'), rates=np.array(rates), bucket=wide.astype(int), buckets=BUCKETS,
        acceptance=np.full(N, acceptance), weight=np.ones(N, np.float32), captions=Strings.of([''] * N), tokens=np.zeros((N, 2), np.int32),
        law=LawConfig(), group=np.zeros(N, int),
        mq=np.linspace(0, 1, N), vq=np.linspace(1, 0, N), width=np.where(wide, 48, 32), height=np.full(N, 32), duration=np.ones(N))


def loader(lib, folder=None, **changes):
    store = FrameStore(rows=lib, fps=FPS, folder=folder)
    return dataclasses.replace(Loader(library=lib, store=store, seed=0, batch=B), **changes)


def batches(lib, **changes):
    return make_batches(lib, loader(lib, **changes), np.arange(N))


def test_training_clips_that_are_never_accepted_are_refused(clips):
    lib = dataclasses.replace(library(clips), acceptance=np.eye(N)[N - 1])
    with pytest.raises(UserError, match='the acceptance of all 11 training clips is 0'):
        make_batches(lib, loader(lib), np.arange(N - 1))


def test_a_batch_is_the_contract(clips):
    batch = batches(library(clips))[5]
    spec = batch_spec(B, BUCKETS[int(batch.clip[0] >= 9)], PixelCodec(), HashedWords(length=2, vocab=9))
    assert jax.tree.map(lambda x: (x.shape, x.dtype), batch) == jax.tree.map(lambda x: (x.shape, x.dtype), spec)
    bucket = BUCKETS[int(batch.clip[0] >= 9)]
    assert batch.video.shape == (B, bucket.frames, bucket.height, bucket.width, 3) and batch.video.dtype == np.uint8
    assert batch.example.tolist() == [20, 21, 22, 23] and batch.example.dtype == np.uint32
    assert batch.law.alpha.shape == (B,) and batch.weight.dtype == np.float32
    for frames, clip in zip(batch.video, batch.clip, strict=True):
        assert -1 <= frames[0].mean() - clip * 16 <= 15, 'the pixels are of another clip'
        np.testing.assert_allclose(np.diff(frames.mean((1, 2, 3))), 2, atol=1.01)  # H.264 has 220 levels


def test_batches_stay_full_under_dropout_and_no_clip_is_lost(clips):
    data = batches(library(clips, acceptance=0.4))
    seen = [data[b].clip for b in range(60)]
    assert all(len(clip) == B for clip in seen) and set(np.concatenate(seen)) == set(range(N))
    assert all(len({int(c >= 9) for c in clip}) == 1 for clip in seen), 'a batch mixes buckets'


def test_sources_are_mixed_by_their_rates(clips):
    lib = library(clips, rates=(0.8, 0.2))
    drawn = np.concatenate([batches(lib)[b].clip for b in range(100)])
    assert np.mean(lib.source[drawn] == 0) == pytest.approx(0.8, abs=0.02)


def assert_same(one, two):
    jax.tree.map(np.testing.assert_array_equal, one, two)


def test_a_resume_goes_on_where_it_was_with_any_number_of_workers(clips, tmp_path):
    lib = library(clips)
    whole = [batches(lib)[b] for b in range(6)]
    for start, workers, folder in ((0, 0, None), (3, 0, str(tmp_path)), (2, 2, None)):
        ahead = iterate(batches(lib, store=loader(lib, folder).store), start, 6, workers=workers, prefetch=2)
        for expected, found in zip(whole[start:], ahead, strict=True):
            if folder is None:
                assert_same(expected, found)
            else:
                np.testing.assert_array_equal(expected.clip, found.clip)
        ahead.close()


def ignores_interrupts(number):
    return signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_an_interrupt_leaves_workers_to_their_parent():
    dataset = grain.MapDataset.source(range(2)).map(ignores_interrupts)
    assert list(iterate(dataset, 0, 2, workers=1, prefetch=1)) == [True, True]
    assert not ignores_interrupts(0)


@pytest.mark.parametrize('folder', [False, True])
def test_several_threads_load_the_same_batches_as_none(clips, tmp_path, monkeypatch, folder):
    monkeypatch.setattr(pipeline, 'cores', lambda: 8)
    lib, names = library(clips, acceptance=0.5), set()
    store = loader(lib, str(tmp_path) if folder else None).store
    whole = [batches(lib, store=store)[b] for b in range(24)]
    window = FrameStore.window
    monkeypatch.setattr(FrameStore, 'window', lambda *args: (names.add(threading.get_ident()), window(*args))[1])
    ahead = iterate(batches(lib, store=store), 0, 24, workers=0, prefetch=8)
    for expected, found in zip(whole, ahead, strict=True):
        assert_same(expected, found)
    assert len(names) > 1


def test_batches_of_one_clip(clips):
    lib = library(clips)
    found = [batch.clip for batch in iterate(make_batches(lib, loader(lib, batch=1), np.arange(N)), 0, 3, workers=0, prefetch=1)]
    assert [rows.shape for rows in found] == [(1,)] * 3


def test_hosts_share_one_batch(clips):
    lib = library(clips)
    whole = batches(lib)[3]
    parts = [batches(lib, part=part)[3] for part in (range(B // 2), range(B // 2, B))]
    assert_same(whole, jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts))


def test_a_cached_clip_is_decoded_once(clips, tmp_path, monkeypatch):
    lib = library(clips)
    cached = loader(lib, str(tmp_path / 'frames')).store
    first = cached.window(0, BUCKETS[0], 0.0)
    assert len(list((tmp_path / 'frames').glob('*.npy'))) == 1
    monkeypatch.setattr('tqd_jax.data.frames.decode', lambda *args, **options: pytest.fail('decoded again'))
    np.testing.assert_array_equal(first, cached.window(0, BUCKETS[0], 0.0))
    assert cached.window(0, BUCKETS[0], 1.0).mean() == pytest.approx(first.mean() + 8, abs=1.5)


def test_a_short_clip_holds_its_last_frame(clips):
    window = loader(library(clips)).store.window(2, Bucket(width=16, height=16, frames=12), 0.0)
    assert window.shape[0] == 12 and (window[8:] == window[7]).all()


def test_crops_cover_the_bucket_at_the_place_asked():
    x = np.broadcast_to(np.arange(64, dtype=np.uint8)[None, None, :, None], (2, 32, 64, 3))
    bucket = Bucket(width=32, height=32, frames=2)
    assert crop(x, bucket, 0.0, 0.5)[0, 0, 0, 0] == 0 and crop(x, bucket, 1.0, 0.5)[0, 0, -1, 0] == 63
    assert crop(x, Bucket(width=16, height=16, frames=2), 0.5, 0.5).shape == (2, 16, 16, 3)
    assert crop(x, Bucket(width=128, height=128, frames=2), 0.5, 0.5).shape == (2, 128, 128, 3)
