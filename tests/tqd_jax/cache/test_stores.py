"""A loader that reads a cache draws the same clips at the same times as one that reads frames."""
import dataclasses

import cached
import jax
import numpy as np
import pytest
from cached import SETTINGS, TEXT, N, encode, library

from tqd_jax.cache.stores import open_latents, open_texts
from tqd_jax.cache.texts import encode_texts
from tqd_jax.cache.windows import places, window_of
from tqd_jax.data.loader import Loader, iterate, make_batches
from tqd_jax.latents.pixels import PixelCodec
from transfer_jax.runtime.errors import UserError

B = 4


@pytest.fixture(scope='module')
def rows(tmp_path_factory):
    return library(cached.write_clips(tmp_path_factory.mktemp('library') / 'clips'))


@pytest.fixture(scope='module')
def cache(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp('cache')
    encode(rows, folder, settings=dataclasses.replace(SETTINGS, windows=3))
    encode(rows, folder, settings=dataclasses.replace(SETTINGS, crop='random', stored='bfloat16'))
    return folder


class Words:
    """Captions to features: one row of ones a word."""

    def prepare(self, captions):
        return np.array([[int(place <= len(one.split())) for place in range(cached.LENGTH)] for one in captions], np.int32)

    def too_long(self, captions):
        return []


class Place:
    """The frames at the start of the window that a draw falls to, as latents."""

    def __init__(self, rows, windows):
        self.store, self.places = cached.frames(rows), places(rows.ids, windows, 'center')

    def example(self, clip, bucket, place):
        window = window_of(place[0], self.places.shape[1])
        return np.asarray(PixelCodec().encode({}, self.store.example(clip, bucket, self.places[clip, window])))


def loader(rows, store, **changes):
    return dataclasses.replace(Loader(library=rows, store=store, seed=3, batch=B), **changes)


def batches(rows, store, **changes):
    return make_batches(rows, loader(rows, store, **changes), np.arange(N))


@pytest.mark.parametrize('workers', [0, 2])
def test_batches_from_the_cache_are_those_of_the_frames(rows, cache, workers):
    latents = open_latents(cache, rows, dataclasses.replace(SETTINGS, windows=3))
    assert not len(latents.missing())
    frames, encoded, windows = batches(rows, cached.frames(rows)), batches(rows, Place(rows, 3)), set()
    ahead = iterate(batches(rows, latents), 0, 8, workers=workers, prefetch=2)
    for number, found in enumerate(ahead):
        plain, expected = frames[number], encoded[number]
        np.testing.assert_allclose(found.video, expected.video, atol=1e-7)
        assert found.video.dtype == np.float32 and found.video.shape == plain.video.shape
        same = lambda batch: dataclasses.replace(batch, video=0)
        jax.tree.map(np.testing.assert_array_equal, same(found), same(plain))
        windows |= set(found.video[:, 0, 0, 0, 0].tolist())
    ahead.close()
    assert number == 7 and len(windows) > N, 'several windows of a clip are drawn'


def test_the_middle_is_the_middle_window(rows, cache):
    latents = open_latents(cache, rows, dataclasses.replace(SETTINGS, windows=3))
    frames = loader(rows, cached.frames(rows)).whole(np.arange(4))
    found = loader(rows, latents).whole(np.arange(4))
    np.testing.assert_allclose(found.video, PixelCodec().encode({}, frames.video), atol=1e-7)


def test_stored_bfloat16_is_read_as_float32(rows, cache):
    settings = dataclasses.replace(SETTINGS, crop='random', stored='bfloat16')
    found = open_latents(cache, rows, settings).example(4, rows.bucket_of(4), np.array([0.7, 0.1, 0.1]))
    place = places(rows.ids, 2, 'random')[4, 1]
    np.testing.assert_allclose(found, PixelCodec().encode({}, cached.frames(rows).example(4, rows.bucket_of(4), place)), rtol=2**-8)
    assert found.dtype == np.float32


def test_what_is_missing_is_told_before_training(rows, cache, tmp_path):
    new = dataclasses.replace(rows, ids=np.where(np.arange(N) == 4, 9, rows.ids).astype(np.uint64))
    latents = open_latents(cache, new, dataclasses.replace(SETTINGS, windows=3))
    assert latents.missing().tolist() == [4]
    with pytest.raises(UserError, match=r'lacks window 2 of .*4\.mp4: encode the library again.*python -m tqd_jax\.encode'):
        latents.example(4, new.bucket_of(4), np.array([0.99, 0.5, 0.5]))
    assert len(open_latents(tmp_path, rows, SETTINGS).missing()) == N


@pytest.mark.parametrize('workers', [0, 1])
def test_text_features_take_the_place_of_tokens(rows, tmp_path, workers):
    features = lambda tokens: np.repeat(tokens[:, :, None], 4, axis=2).astype(np.float32)
    encode_texts(rows.captions, Words(), features, tmp_path, settings=TEXT, clean=str.strip, batch=4, process=0, processes=1,
                 stop=cached.OFF)
    texts, numbers = open_texts(tmp_path, rows.captions, TEXT, str.strip)
    rows = dataclasses.replace(rows, tokens=numbers)
    ahead = iterate(batches(rows, cached.frames(rows), texts=texts), 0, 4, workers=workers, prefetch=2)
    for batch in ahead:
        words = [1 + len(rows.captions[clip].split()) for clip in batch.clip]
        assert batch.text.shape == (B, cached.LENGTH, 4) and batch.text.dtype == texts.spec()[1]
        assert batch.text[:, :, 0].sum(1).tolist() == words and (batch.text[:, 0] == 1).all()
    ahead.close()
