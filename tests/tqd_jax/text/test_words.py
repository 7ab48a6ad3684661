"""Hashed words as a text encoder."""
import zlib

import numpy as np
import pytest

from tqd_jax.text.words import HashedWords

WORDS = HashedWords(length=4, vocab=64)


def test_captions_are_the_hashes_of_their_first_words():
    text = WORDS.prepare(['A red disc', '', 'one two three four five'])
    token = lambda word: 1 + zlib.crc32(word.encode()) % 63
    assert text.tolist() == [[token('a'), token('red'), token('disc'), 0], [0] * 4, [token(w) for w in ('one', 'two', 'three', 'four')]]
    assert text.dtype == np.int32 and WORDS.prepare([]).shape == (0, 4)


def test_the_spec_and_the_empty_caption_are_those_of_prepare():
    one = WORDS.prepare([''])[0]
    assert (WORDS.spec().shape, WORDS.spec().dtype) == (one.shape, one.dtype)
    np.testing.assert_array_equal(WORDS.empty({}), one)
    assert WORDS.empty({}).dtype == one.dtype


def test_there_are_no_parameters():
    text = WORDS.prepare(['a'])
    assert WORDS.init(None) == {} and WORDS.encode({}, text) is text
    with pytest.raises(ValueError, match=r'no parameters, so t5\.npz'):
        WORDS.load('t5.npz')
