"""A key changes with whatever changes a number, and with nothing else."""
import dataclasses
import hashlib
import os
import types

import numpy as np
import pytest
from cached import SETTINGS, TEXT, Relative

from tqd_jax.cache import keys as module
from tqd_jax.cache.hashes import FILE, weights_hash
from tqd_jax.cache.keys import describe, latent_key, latent_keys, text_key, text_keys
from tqd_jax.cache.windows import places, window_of
from tqd_jax.data.buckets import Bucket
from transfer_jax.runtime.errors import UserError

BUCKET = Bucket(width=16, height=16, frames=5)
LATENT_CHANGES = {'pictures': '2-white', 'codec': 'x', 'fps': 7.0, 'windows': 3, 'crop': 'random', 'stored': 'bfloat16'}
TEXT_CHANGES = {'encoder': 'x', 'tokenizer': 'x', 'length': 8, 'compute': 'bfloat16', 'stored': 'float32'}


@pytest.mark.parametrize(('settings', 'changes', 'key'), [
    (SETTINGS, LATENT_CHANGES, lambda settings: latent_key(settings, 3, BUCKET, 1)),
    (TEXT, TEXT_CHANGES, lambda settings: text_key(settings, 'a cat'))])
def test_every_setting_is_an_ingredient(settings, changes, key):
    assert set(changes) == {field.name for field in dataclasses.fields(settings)}, 'a field without a change here'
    all_keys = {key(settings), *(key(dataclasses.replace(settings, **{name: value})) for name, value in changes.items())}
    assert len(all_keys) == len(changes) + 1 and all(len(one) == 16 for one in all_keys)
    assert key(settings) == key(dataclasses.replace(settings))


def test_clip_window_bucket_and_caption_are_ingredients():
    one = lambda clip=3, window=1, **bucket: latent_key(SETTINGS, clip, dataclasses.replace(BUCKET, **bucket), window)
    assert len({one(), one(clip=4), one(clip=2**64 - 1), one(window=0), one(width=8), one(height=8), one(frames=9)}) == 7
    assert text_key(TEXT, 'a cat') != text_key(TEXT, 'a  cat')


def test_the_format_is_an_ingredient(monkeypatch):
    before = latent_key(SETTINGS, 3, BUCKET, 1), text_key(TEXT, 'a')
    monkeypatch.setattr(module, 'FORMAT', module.FORMAT + 1)
    module._latents.cache_clear()
    module._texts.cache_clear()
    after = latent_key(SETTINGS, 3, BUCKET, 1), text_key(TEXT, 'a')
    module._latents.cache_clear()
    module._texts.cache_clear()
    assert not set(before) & set(after)


def test_keys_are_the_same_in_another_process_and_on_another_day():
    """Literals: a change of them has every user encode everything again."""
    assert latent_key(SETTINGS, 3, BUCKET, 1).hex() == '5086a1743e42c7df8f03b366988ed095'
    assert text_key(TEXT, 'a cat').hex() == '27d7efd5dd4c38ba30d2dcfd5cd75cf3'


def test_a_codec_counts_but_for_how_much_it_does_at_a_time():
    assert describe(Relative(chunk=2), 'w') == describe(Relative(), 'w')
    assert len({describe(Relative(), 'w'), describe(Relative(), 'v'), describe(Relative(tile=1), 'w')}) == 3


def test_many_keys_are_those_of_one():
    buckets = (BUCKET, dataclasses.replace(BUCKET, width=32))
    rows = types.SimpleNamespace(ids=np.array([7, 9], np.uint64), bucket=np.array([1, 0]), buckets=buckets)
    found = latent_keys(SETTINGS, rows)
    assert found.shape == (2, 2, 16) and found.dtype == np.uint8
    assert found[0, 1].tobytes() == latent_key(SETTINGS, 7, buckets[1], 1)
    captions = [str(number) for number in range(5000)]
    assert text_keys(TEXT, captions)[4999].tobytes() == text_key(TEXT, '4999') and len(text_keys(TEXT, captions)) == 5000
    assert text_keys(TEXT, []).shape == (0, 16)


def test_windows_are_spread_over_the_room():
    ids = np.arange(3, dtype=np.uint64)
    assert places(ids, 1, 'center').tolist() == [[[0.5] * 3]] * 3
    assert places(ids, 3, 'center')[2, :, 0].tolist() == [0.0, 0.5, 1.0]
    crops = places(np.arange(500, dtype=np.uint64), 2, 'random')
    assert crops[:, :, 0].min(0).tolist() == [0.0, 1.0] and len(np.unique(crops[:, :, 1:])) == 2000
    assert abs(crops[:, :, 1:].mean() - 0.5) < 0.03 and 0 <= crops.min() and crops.max() <= 1
    np.testing.assert_array_equal(places(np.arange(400, 500, dtype=np.uint64), 2, 'random'), crops[400:])
    with pytest.raises(ValueError, match="not 'left'"):
        places(ids, 1, 'left')


def test_every_draw_has_a_window():
    assert [window_of(place, 3) for place in (0.0, 0.32, 0.34, 0.99, 1.0)] == [0, 0, 1, 2, 2]


def test_the_hash_of_a_file_is_remembered_until_it_changes(tmp_path, monkeypatch):
    cache, file = tmp_path / 'cache', tmp_path / 'vae.pth'
    file.write_bytes(b'weights')
    first = weights_hash([file], cache)
    assert first == hashlib.sha256(b'weights').hexdigest()
    calls = []
    monkeypatch.setattr('tqd_jax.cache.hashes._sha256', lambda path: calls.append(path) or 'other')
    assert weights_hash([file], cache) == first and not calls
    os.utime(file, ns=(0, 1))
    assert weights_hash([file], cache) == 'other' and calls == [file]
    (cache / FILE).write_text('{"damaged')
    assert weights_hash([file], cache) == 'other'


def test_the_hash_of_several_files_is_that_of_their_contents(tmp_path):
    for name, data in {'a': b'1', 'b': b'2', 'c': b'1'}.items():
        (tmp_path / name).write_bytes(data)
    hashed = lambda names: weights_hash([tmp_path / name for name in names], tmp_path)
    assert hashed('ab') == hashed('bc') != hashed('ac') and hashed('a') == hashed('c')
    with pytest.raises(UserError, match=r'none cannot be read: No such file'):
        hashed(['none'])
    with pytest.raises(ValueError, match='no files'):
        hashed([])
