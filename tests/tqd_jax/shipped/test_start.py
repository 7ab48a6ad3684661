"""The random start of the tiny Wan: words are told apart, any text has tokens, and a seed gives the same bits."""
import itertools

import jax
import numpy as np
import pytest

from tqd_jax.clips import scenes
from tqd_jax.models.io.files import open_tensors
from tqd_jax.models.io.places import find_parts
from tqd_jax.models.io.wan import check_whole, read_config
from tqd_jax.shipped.start import write_start
from tqd_jax.text.umt5.encoder import read_encoder

WORDS = (*scenes.COLOURS, *scenes.SHAPES)


@pytest.fixture(scope='module')
def start(tmp_path_factory):
    return write_start(tmp_path_factory.mktemp('start'))


@pytest.fixture(scope='module')
def encoder(start):
    return read_encoder(start / 'text_encoder', length=32, dtype='float32')


def test_its_parts_are_found_and_fit(start):
    parts = find_parts(start)
    tensors = open_tensors(parts.experts['model'])
    model = read_config(tensors, parts.settings)
    check_whole(tensors, model)
    text = read_encoder(parts.text_encoder, parts.tokenizer, length=model.text_len, dtype='float32').config
    assert model.text_dim == text.width and model.text_len == 32 and model.patch == (1, 2, 2)
    assert model.in_channels == model.out_channels == 16 and parts.vae is None


def test_a_word_of_the_rendered_captions_is_one_token(encoder):
    ids = encoder.tokenizer.ids([f'a {colour} {shape}' for colour in scenes.COLOURS for shape in scenes.SHAPES])
    assert {len(row) for row in ids} == {3} and len({number for row in ids for number in row}) == 1 + len(WORDS)
    assert len(encoder.tokenizer.ids(['a red disc and a blue star'])[0]) == 7


@pytest.mark.parametrize('text', ['Two dogs run.', '一只猫', 'naïve', 'a\nred disc'])
def test_any_text_has_tokens_of_its_own(encoder, text):
    ids, = encoder.tokenizer.ids([text])
    assert ids and min(ids) > 1 and ids != encoder.tokenizer.ids([text + 's'])[0]


def test_words_have_features_of_their_own(start, encoder):
    captions = [f'a {word}' for word in WORDS]
    features = np.asarray(encoder.encode(jax.device_put(encoder.load(start / 'text_encoder')), encoder.prepare(captions)))[:, 1]
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    assert max(one @ other for one, other in itertools.combinations(features, 2)) < 0.7


def test_a_seed_gives_the_same_bits(start, tmp_path):
    again, other = write_start(tmp_path / 'again'), write_start(tmp_path / 'other', seed=2)
    files = sorted(path.relative_to(start) for path in start.rglob('*') if path.is_file())
    assert files == sorted(path.relative_to(other) for path in other.rglob('*') if path.is_file()) and len(files) == 4
    same = lambda folder: [name.name for name in files if (folder / name).read_bytes() == (start / name).read_bytes()]
    assert same(again) == [name.name for name in files] and same(other) == ['tokenizer.json', 'config.json']
