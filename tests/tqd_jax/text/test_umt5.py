"""The UMT5 network: its rule of buckets, padding, precision, sharding, and the encoder block by block."""
import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from umt5_small import CAPTIONS, CONFIG, random_arrays, train_spiece

from tqd_jax.text.umt5.config import XXL, abstract_params, bucket_starts, distance_buckets
from tqd_jax.text.umt5.encoder import Umt5
from tqd_jax.text.umt5.layerwise import crop, encode_layers
from tqd_jax.text.umt5.model import encode, relative_bias, unstack
from tqd_jax.text.umt5.tokenizer import Tokenizer
from tqd_jax.text.umt5.weights import params_from
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.mesh import make_mesh, shard_tree

ARRAYS = random_arrays()
PARAMS = params_from(ARRAYS, CONFIG, 'float32')
encoded = jax.jit(encode, static_argnums=(2, 3))


def make_tokens(*lengths, width=12):
    """int32 [N, width]: captions of these lengths, the end included."""
    tokens = np.random.default_rng(1).integers(4, CONFIG.vocab, (len(lengths), width)).astype(np.int32)
    for row, length in zip(tokens, lengths, strict=True):
        row[length - 1], row[length:] = 1, 0
    return tokens


def test_the_published_sizes():
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(abstract_params(XXL, 'bfloat16'))) == 5_680_910_336


@pytest.mark.parametrize('buckets, longest', [(32, 128), (16, 40)])
def test_buckets_follow_the_rule(buckets, longest):
    half, exact = buckets // 2, buckets // 4

    def rule(distance):
        d = abs(distance)
        far = exact + math.floor((half - exact) * math.log(d / exact, longest / exact) + 1e-9) if d else 0
        return half * (distance > 0) + (d if d < exact else min(half - 1, far))

    config = dataclasses.replace(CONFIG, buckets=buckets, max_distance=longest)
    assert distance_buckets(config, 400).tolist() == [rule(d) for d in range(-399, 400)]


def test_published_buckets_begin_at_these_distances():
    assert bucket_starts(CONFIG) == [*range(8), 8, 12, 16, 23, 32, 46, 64, 91]


@pytest.mark.parametrize('length', [1, 2, 7])
def test_the_bias_of_a_pair_is_its_distance_s(length):
    table = np.random.default_rng(0).normal(size=(CONFIG.buckets, CONFIG.heads)).astype('f')
    bias, buckets = relative_bias(table, CONFIG, length), distance_buckets(CONFIG, length)
    for i in range(length):
        for j in range(length):
            np.testing.assert_array_equal(bias[:, i, j], table[buckets[j - i + length - 1]])


def test_padding_is_zero_and_changes_no_row():
    tokens = make_tokens(12, 5, 1)
    features = np.asarray(encoded(PARAMS, tokens, CONFIG, 'float32'))
    assert not features[tokens == 0].any() and np.abs(features[tokens > 0]).min(axis=1).all()
    alone = np.asarray(encoded(PARAMS, tokens[1:2, :5], CONFIG, 'float32'))
    np.testing.assert_allclose(features[1, :5], alone[0], atol=2e-5)
    assert np.abs(features[0, :5] - encoded(PARAMS, tokens[:1, :5], CONFIG, 'float32')[0]).max() > 0.01


def test_products_in_bfloat16_stay_near():
    tokens = make_tokens(12, 5)
    full, low = encoded(PARAMS, tokens, CONFIG, 'float32'), encoded(PARAMS, tokens, CONFIG, 'bfloat16')
    assert low.dtype == jnp.bfloat16
    error = np.linalg.norm(np.asarray(low, np.float32) - full) / np.linalg.norm(full)
    assert 1e-4 < error < 0.03


def test_unstacked_blocks_give_the_same():
    tokens, apart = make_tokens(12, 5), unstack(PARAMS)
    assert len(apart['blocks']) == CONFIG.layers and set(PARAMS) == set(apart)
    np.testing.assert_allclose(encoded(apart, tokens, CONFIG, 'float32'), encoded(PARAMS, tokens, CONFIG, 'float32'), atol=2e-5)


def test_stored_bfloat16_computes_in_float32():
    tokens, stored = make_tokens(12, 5), params_from(ARRAYS, CONFIG, 'bfloat16')
    rounded = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), stored)
    np.testing.assert_array_equal(encoded(stored, tokens, CONFIG, 'float32'), encoded(rounded, tokens, CONFIG, 'float32'))


def test_sharded_parameters_give_the_same():
    mesh, tokens = make_mesh(data=2, fsdp=4), make_tokens(12, 5)
    place = lambda tree: jax.device_put(tree, shard_tree(tree, mesh, min_size=1))
    sharded, whole = place(PARAMS), encoded(PARAMS, tokens, CONFIG, 'float32')
    assert sharded['embedding'].addressable_shards[0].data.shape == (CONFIG.vocab // 4, CONFIG.width)
    np.testing.assert_allclose(encoded(sharded, tokens, CONFIG, 'float32'), whole, atol=2e-5)
    np.testing.assert_allclose(encode_layers(ARRAYS, CONFIG, tokens, dtype='float32', place=place), whole, atol=2e-5)


@pytest.mark.parametrize('offload', [True, False])
@pytest.mark.parametrize('dtype, bound', [('float32', 2e-5), ('bfloat16', 0.05)])
def test_block_by_block_equals_the_whole(offload, dtype, bound):
    tokens = make_tokens(3, 150, 1, 70, 9, width=160)
    whole = encoded(params_from(ARRAYS, CONFIG, dtype), tokens, CONFIG, dtype)
    blocks = encode_layers(ARRAYS, CONFIG, tokens, dtype=dtype, batch=2, offload=offload)
    assert blocks.dtype == whole.dtype and blocks.shape == whole.shape
    np.testing.assert_allclose(np.asarray(blocks, np.float32), np.asarray(whole, np.float32), atol=bound)
    assert not blocks[tokens == 0].any()


def test_block_by_block_reads_each_block_once_and_in_order():
    class Recorded(dict):
        def __getitem__(self, name):
            names.append(name)
            return super().__getitem__(name)

    names = []
    placed = []
    encode_layers(Recorded(ARRAYS), CONFIG, make_tokens(3, 4, 5), dtype='float32', batch=1, place=lambda tree: placed.append(tree) or tree)
    reads = [name for name in names if name.endswith('ffn.fc1.weight')]
    assert reads[-CONFIG.layers:] == [f'blocks.{number}.ffn.fc1.weight' for number in range(CONFIG.layers)]
    assert len(placed) == CONFIG.layers + 1 and encode_layers(ARRAYS, CONFIG, make_tokens(), dtype='float32').shape == (0, 12, 16)


def test_crop_cuts_padding_alone():
    assert crop(make_tokens(3, 9), 4).shape == (2, 12) and crop(make_tokens(3, 8), 4).shape == (2, 8)
    assert crop(make_tokens(3, 12), 64).shape == (2, 12) and crop(make_tokens(), 4).shape == (0, 4)
    np.testing.assert_array_equal(crop(make_tokens(3, 4), 4), make_tokens(3, 4)[:, :4])


@pytest.fixture(scope='module')
def encoder():
    tokenizer = Tokenizer('spiece.model', train_spiece(CAPTIONS))
    return Umt5(config=CONFIG, tokenizer=tokenizer, length=16, dtype='float32')


def test_the_encoder_of_captions(encoder):
    tokens = encoder.prepare(CAPTIONS)
    assert (tokens.shape, tokens.dtype) == ((len(CAPTIONS), 16), np.int32) and encoder.spec().shape == (16,)
    features = jax.jit(encoder.encode)(PARAMS, tokens)
    np.testing.assert_array_equal(features, encoded(PARAMS, tokens, CONFIG, 'float32'))
    short = make_tokens(3, 7, width=16)
    assert crop(short, 8).shape == (2, 8)
    np.testing.assert_allclose(jax.jit(encoder.encode)(PARAMS, crop(short, 8)), jax.jit(encoder.encode)(PARAMS, short), atol=2e-5)
    assert encoder.empty(PARAMS).tolist() == [1] + [0] * 15 == tokens[1].tolist() == tokens[9].tolist()
    assert np.abs(features[1, 0]).max() > 0.1 and not np.asarray(features[1, 1:]).any()


def test_equal_encoders_share_programs(encoder):
    same = Umt5(config=CONFIG, tokenizer=Tokenizer('spiece.model', bytes(bytearray(encoder.tokenizer.data))), length=16, dtype='float32')
    assert encoder == same and hash(encoder) == hash(same) and encoder != dataclasses.replace(same, length=17)
    assert len(repr(encoder)) < 400


def test_random_parameters_have_the_abstract_shapes(encoder):
    params = jax.jit(encoder.init)(jax.random.key(0))
    shapes = lambda tree: jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)
    assert shapes(params) == shapes(encoder.abstract()) == shapes(PARAMS)
    features = np.asarray(jax.jit(encoder.encode)(params, make_tokens(12)))
    assert 0.5 < features.std() < 2
    np.testing.assert_allclose(np.std(params['blocks']['down']['kernel']), CONFIG.ffn**-0.5, rtol=0.1)


def test_settings_that_do_not_fit_are_refused(encoder):
    with pytest.raises(ValueError, match="'float16'; UMT5 computes"):
        dataclasses.replace(encoder, dtype='float16')
    with pytest.raises(ValueError, match='length is 0'):
        dataclasses.replace(encoder, length=0)
    for vocab in (100, 9000):
        with pytest.raises(UserError, match=rf'tokenizer has \d+ tokens but the text encoder {vocab}'):
            dataclasses.replace(encoder, config=dataclasses.replace(CONFIG, vocab=vocab))
