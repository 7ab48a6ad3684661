"""Captions are encoded once, without padding, and read back with it."""
import dataclasses

import cached
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cached import LENGTH, OFF, ON, TEXT

from tqd_jax.cache import texts as module
from tqd_jax.cache.reader import Reader
from tqd_jax.cache.stores import open_texts
from tqd_jax.cache.texts import NOT_FINITE, encode_texts, on_devices
from tqd_jax.text.words import HashedWords
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.mesh import make_mesh

CAPTIONS = ['a cat', 'two dogs', '', 'A  cat', 'one', 'long ' * 16, 'long ' * 17, *(f'number {i}' for i in range(5))]
PARAMS = {'table': np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)}


@dataclasses.dataclass(frozen=True)
class Table:
    """A text encoder: the row of each word in a table, and its place; nothing mixes words."""
    words: HashedWords = HashedWords(length=LENGTH, vocab=64)

    def prepare(self, captions):
        """int32 [n, LENGTH]; the empty caption has one token, as UMT5's has."""
        tokens = self.words.prepare([f'{caption} end' if len(caption.split()) < LENGTH else caption for caption in captions])
        return tokens

    def too_long(self, captions):
        """Numbers of those with more words."""
        return [number for number, caption in enumerate(captions) if len(caption.split()) > LENGTH]

    def encode(self, params, tokens):
        """[B, LENGTH, 8] of the first columns of tokens, zeros at padding."""
        tokens = jnp.pad(tokens, ((0, 0), (0, LENGTH - tokens.shape[1])))
        place = 0.01 * jnp.arange(tokens.shape[1], dtype=jnp.float32)[None, :, None]
        return jnp.where(tokens[:, :, None] > 0, params['table'][tokens] + place, 0)


def clean(caption):
    return ' '.join(caption.lower().split())


def encode(captions, cache, encode=None, **changes):
    """encode_texts on one device."""
    options = {'settings': TEXT, 'clean': clean, 'batch': 2, 'process': 0, 'processes': 1, 'stop': OFF}
    encode = encode or on_devices(Table(), PARAMS, batch=2, mesh=make_mesh(devices=jax.devices()[:1]), stored='bfloat16')
    return encode_texts(captions, Table(), encode, cache, **options | changes)


def expected(captions):
    """[n, LENGTH, 8] as the encoder has it of whole captions."""
    return np.asarray(Table().encode(PARAMS, Table().prepare(captions)).astype(jnp.bfloat16))


def records(cache):
    reader = Reader.open(cache / 'text')
    return {reader.keys[i].tobytes(): reader[i].tobytes() for i in range(len(reader))}


def test_features_come_back_padded(tmp_path):
    found = encode(CAPTIONS, tmp_path)
    assert (found.encoded, found.found, found.failed, found.stopped) == (len(CAPTIONS) - 1, 0, (), False), '"A  cat" is "a cat"'
    store, numbers = open_texts(tmp_path, CAPTIONS, TEXT, clean)
    rows = store.rows(numbers)
    assert rows.dtype == jnp.bfloat16 and store.spec() == ((LENGTH, 8), jnp.bfloat16)
    np.testing.assert_array_equal(rows, expected(CAPTIONS))
    np.testing.assert_array_equal(store.rows(np.array([store.empty])), expected(['']))
    assert numbers[0] == numbers[3] and numbers[2] == store.empty


def test_rows_are_unpadded_on_disk_and_the_index_has_the_caption(tmp_path):
    encode(CAPTIONS, tmp_path)
    reader = Reader.open(tmp_path / 'text')
    assert {reader[i].shape[0] for i in range(len(reader))} == {1, 2, 3, LENGTH}
    text = ''.join(path.read_text() for path in (tmp_path / 'text').glob('*.jsonl'))
    assert '"caption": "two dogs", "tokens": 3' in text


def test_captions_that_are_cut_are_listed(tmp_path):
    assert encode(CAPTIONS, tmp_path).too_long == ('long ' * 17,)


def test_encoding_again_encodes_what_is_new(tmp_path):
    encode(CAPTIONS[:4], tmp_path)
    before = records(tmp_path)
    calls = []
    again = encode(CAPTIONS, tmp_path, lambda tokens: calls.append(len(tokens)) or Table().encode(PARAMS, tokens))
    assert (again.encoded, again.found) == (len(CAPTIONS) - 4, 3) and sum(calls) == again.encoded and max(calls) <= 2
    assert before.items() <= records(tmp_path).items()
    assert encode(CAPTIONS, tmp_path, pytest.fail).encoded == 0
    assert encode(CAPTIONS, tmp_path, settings=dataclasses.replace(TEXT, tokenizer='u')).encoded == len(CAPTIONS) - 1


def test_a_caption_is_encoded_alike_whatever_else_there_is(tmp_path, monkeypatch):
    encode(CAPTIONS, tmp_path / 'whole')
    monkeypatch.setattr(module, 'AHEAD', 3)
    for process in range(3):
        encode(CAPTIONS, tmp_path / 'parts', process=process, processes=3)
    assert records(tmp_path / 'parts') == records(tmp_path / 'whole')


def test_captions_are_cut_to_a_width_of_their_own(tmp_path):
    shapes = set()
    encode(CAPTIONS, tmp_path, lambda tokens: shapes.add(tokens.shape[1]) or Table().encode(PARAMS, tokens))
    assert shapes == {2, 4, 16}
    assert module._width(np.array([1, 64, 65, 200, 512]), 512).tolist() == [64, 64, 128, 256, 512]


def test_features_that_are_not_finite_are_listed_and_not_stored(tmp_path):
    def broken(tokens):
        features = np.array(Table().encode(PARAMS, tokens))
        features[(tokens == Table().prepare(['one'])[0, 0]).any(1), 0] = np.nan
        return features
    found = encode(CAPTIONS, tmp_path, broken)
    assert found.failed == ({'caption': 'one', 'reason': NOT_FINITE},) and found.encoded == len(CAPTIONS) - 2
    store, numbers = open_texts(tmp_path, CAPTIONS, TEXT, clean)
    assert store.missing(numbers).tolist() == [4]
    with pytest.raises(UserError, match='lacks the features of a caption: encode the library again'):
        store.rows(numbers[3:5])


def test_padding_may_be_anything_but_is_zero_when_read(tmp_path):
    broken = lambda tokens: np.where(tokens[:, :, None] > 0, Table().encode(PARAMS, tokens)[:, :tokens.shape[1]], np.nan)
    encode(CAPTIONS, tmp_path, broken)
    store, numbers = open_texts(tmp_path, CAPTIONS, TEXT, clean)
    np.testing.assert_array_equal(store.rows(numbers), expected(CAPTIONS))


def test_numbers_do_not_depend_on_what_else_the_cache_has(tmp_path):
    before = open_texts(tmp_path, CAPTIONS, TEXT, clean)[1]
    encode(['other', 'words', *CAPTIONS], tmp_path)
    np.testing.assert_array_equal(open_texts(tmp_path, CAPTIONS, TEXT, clean)[1], before)


def test_a_stop_and_a_wrong_length(tmp_path):
    found = encode(CAPTIONS, tmp_path, stop=ON)
    assert found.stopped and found.encoded == 0
    with pytest.raises(ValueError, match=r'16 tokens, and settings\.length is 8'):
        encode(CAPTIONS, tmp_path, settings=dataclasses.replace(TEXT, length=8))
    with pytest.raises(UserError, match='a batch of 3 does not divide'):
        on_devices(Table(), PARAMS, batch=3, mesh=make_mesh(devices=jax.devices()[:2]), stored='float32')


def test_captions_of_a_library_are_strings(tmp_path):
    captions = cached.library(tmp_path).captions
    assert encode(captions, tmp_path).encoded == 5
