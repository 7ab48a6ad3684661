"""Weights of UMT5 by every layout of names, from arrays and from files, and files that do not fit."""
import dataclasses
import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.flax import save_file as save_jax
from safetensors.numpy import save_file
from umt5_small import CAPTIONS, CONFIG, layout_of, random_arrays, train_spiece

from tqd_jax.text.umt5.config import abstract_params
from tqd_jax.text.umt5.encoder import open_weights, read_encoder
from tqd_jax.text.umt5.layerwise import encode_layers
from tqd_jax.text.umt5.weights import config_from, params_from
from transfer_jax.runtime.errors import UserError

ARRAYS = random_arrays()
PARAMS = params_from(ARRAYS, CONFIG, 'float32')
SHARED, EMBED = 'shared.weight', 'encoder.embed_tokens.weight'


def renamed(arrays, layout, target):
    """The arrays under the names of another layout."""
    old, new = layout_of(layout), layout_of(target)
    names = {old.leaf(number, path): new.leaf(number, path) for number in range(CONFIG.layers) for path in old.leaves}
    names |= {old.final_norm(): new.final_norm(), f'{old.embeddings[-1]}.weight': f'{new.prefix}{new.embeddings[-1]}.weight'}
    return {names[name]: array for name, array in arrays.items()}


THEIRS = renamed(ARRAYS, 'original', 'transformers')
BESIDE = {'decoder.block.0.layer.0.layer_norm.weight': np.ones(3, np.float32), 'lm_head.weight': np.ones((2, 2), np.float32)}
COMFY = renamed(ARRAYS, 'original', 'comfy') | {
    'text_encoders.umt5xxl.logit_scale': np.ones((), np.float32), 'model.diffusion_model.head.modulation': np.ones((1, 2, 4), np.float32)}
LAYOUTS = {
    'original': ARRAYS, 'original below encoder': {f'encoder.{name}': array for name, array in ARRAYS.items()}, 'shared': THEIRS,
    'embed_tokens': {EMBED if name == SHARED else name: array for name, array in THEIRS.items()}, 'both': THEIRS | {EMBED: THEIRS[SHARED]},
    'with a decoder': THEIRS | BESIDE, 'comfy': COMFY, 'comfy encoder alone': THEIRS | {'spiece_model': np.ones(3, np.uint8)}}


def assert_equal(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.mark.parametrize('layout', LAYOUTS)
def test_every_layout_gives_the_same_parameters(layout):
    config = config_from(LAYOUTS[layout])
    assert config == CONFIG
    assert_equal(params_from(LAYOUTS[layout], config, 'float32'), PARAMS)


def test_parameters_are_transposed_and_stacked_and_cast():
    np.testing.assert_array_equal(PARAMS['blocks']['gate']['kernel'][1], ARRAYS['blocks.1.ffn.gate.0.weight'].T)
    np.testing.assert_array_equal(PARAMS['blocks']['attention']['bias'][2], ARRAYS['blocks.2.pos_embedding.embedding.weight'])
    low = params_from({name: array.astype(np.float16) for name, array in ARRAYS.items()}, CONFIG, 'bfloat16')
    shapes = lambda tree: jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)
    assert shapes(low) == shapes(abstract_params(CONFIG, 'bfloat16')) and low['norm']['scale'].dtype == np.float32
    np.testing.assert_allclose(low['embedding'].astype('f'), PARAMS['embedding'], rtol=0.005, atol=1e-6)


def change(name, array):
    return {**ARRAYS, name: array}


def without(name):
    return {key: array for key, array in ARRAYS.items() if key != name}


UNLIKE = {  # arrays, words of the message
    'no encoder': ({'head.modulation': np.ones(3)}, r"is no UMT5 encoder: it has neither 'blocks\.0\.pos_embedding"),
    'a leaf missing': (without('blocks.1.ffn.fc1.weight'), r"lacks 1 array .* such as 'blocks\.1\.ffn\.fc1\.weight'; get the"),
    'no queries': ({name: array for name, array in ARRAYS.items() if '.q.' not in name}, r"lacks 1 array .* 'blocks\.0\.attn\.q\.weight'"),
    'norm missing': (without('norm.weight'), r"lacks 1 array .* 'norm\.weight'"),
    'embedding missing': (without('token_embedding.weight'), r"lacks 1 array .* 'token_embedding\.weight'"),
    'T5, whose first block alone has a bias': (
        {name: array for name, array in THEIRS.items() if not re.search(r'block\.[12]\..*bias', name)}, r"lacks 2 arrays .*block\.1\..*T5"),
    'left over': (change('blocks.1.attn.q.bias', np.ones(8)), r"1 array that has no place .* 'blocks\.1\.attn\.q\.bias'"),
    'decoder of the original': (change('decoder.norm.weight', np.ones(8)), r"no place .* 'decoder\.norm\.weight'"),
    'scale beside': (change('blocks.1.attn.q.scale_weight', np.ones(())), r"'blocks\.1\.attn\.q\.scale_weight'"),
    'wrong shape': (change('blocks.1.ffn.fc2.weight', np.ones((16, 21))),
                    r"'blocks\.1\.ffn\.fc2\.weight' has the shape \[16, 21\].*\[16, 20\]"),
    'wrong norm': (change('norm.weight', np.ones(17)), r"'norm\.weight' has the shape \[17\]"),
    'no matrix': (change('blocks.0.attn.q.weight', np.ones(17)), r"'blocks\.0\.attn\.q\.weight' has the shape \[17\] but is a matrix"),
    'zero table': (change('token_embedding.weight', np.zeros((384, 16), np.float32)), r"'token_embedding\.weight' is all zero"),
    'one of two zero': (THEIRS | {EMBED: 0 * THEIRS[SHARED]}, r"'encoder\.embed_tokens\.weight' is all zero"),
    'two that differ': (THEIRS | {EMBED: 2 * THEIRS[SHARED]}, r"'encoder\.embed_tokens\.weight' and 'shared\.weight' are the same table"),
}


@pytest.mark.parametrize('case', UNLIKE)
def test_arrays_that_do_not_fit_are_refused_by_name(case):
    arrays, message = UNLIKE[case]
    with pytest.raises(UserError, match=message):
        params_from(arrays, config_from(arrays), 'float32')
    with pytest.raises(UserError, match=message):
        encode_layers(arrays, config_from(arrays), np.ones((1, 2), np.int32), dtype='float32')


def test_another_config_is_refused():
    with pytest.raises(UserError, match=r"'blocks\.0\.ffn\.fc2\.weight' has the shape \[16, 20\].* \[16, 24\]"):
        params_from(ARRAYS, dataclasses.replace(CONFIG, ffn=24), 'float32')


@pytest.fixture
def spiece(tmp_path):
    """A folder with a tokenizer in `tokenizer`, as diffusers has it."""
    (tmp_path / 'tokenizer').mkdir()
    data = train_spiece(CAPTIONS)
    (tmp_path / 'tokenizer/spiece.model').write_bytes(data)
    return data


def test_a_folder_of_shards_is_read_with_the_tokenizer_beside_it(tmp_path, spiece):
    folder, names = tmp_path / 'text_encoder', sorted(THEIRS)
    folder.mkdir()
    shards = {f'model-0000{number + 1}-of-00002.safetensors': names[number::2] for number in range(2)}
    for shard, part in shards.items():
        save_file({name: np.ascontiguousarray(THEIRS[name]) for name in part}, folder / shard)
    places = {name: shard for shard, part in shards.items() for name in part}
    (folder / 'model.safetensors.index.json').write_text(json.dumps({'weight_map': places}))
    encoder = read_encoder(folder, length=8, dtype='float32')
    assert encoder.config == CONFIG and encoder.tokenizer.data == spiece and encoder.length == 8
    assert_equal(encoder.load(folder), PARAMS)
    tokens = encoder.prepare(CAPTIONS)
    blocks = encode_layers(open_weights(folder), encoder.config, tokens, dtype='float32')
    np.testing.assert_allclose(blocks, jax.jit(encoder.encode)(PARAMS, tokens), atol=2e-5)
    assert read_encoder(folder, tmp_path / 'tokenizer/spiece.model') == read_encoder(folder)
    (tmp_path / 'tokenizer/spiece.model').unlink()
    with pytest.raises(UserError, match='there is no tokenizer'):
        read_encoder(folder)


def test_a_file_of_comfy_brings_its_tokenizer(tmp_path, spiece):
    bytes_of = np.frombuffer(spiece, np.uint8)
    save_file({name: np.ascontiguousarray(array) for name, array in COMFY.items()} | {'text_encoders.spiece_model': bytes_of},
              path := tmp_path / 'wan_all_in_one.safetensors')
    encoder = read_encoder(path, dtype='float32')
    assert encoder.tokenizer.data == spiece
    assert_equal(encoder.load(path), PARAMS)


def test_float8_with_scales_is_multiplied(tmp_path, spiece):
    scale = np.float32(0.25)
    kernels = {name for name, array in THEIRS.items() if array.ndim == 2 and 'bias' not in name and name != SHARED}
    arrays = {name: jnp.asarray(array / scale).astype(jnp.float8_e4m3fn) if name in kernels else jnp.asarray(array).astype(jnp.bfloat16)
              for name, array in THEIRS.items()}
    scales = {f'{name.removesuffix("weight")}scale_weight': jnp.asarray(scale) for name in kernels}
    save_jax(arrays | scales | {'scaled_fp8': jnp.zeros(2, jnp.float8_e4m3fn)}, path := tmp_path / 'umt5_fp8.safetensors')
    params = read_encoder(path, dtype='float32').load(path)
    expected = np.asarray(arrays['encoder.block.2.layer.1.DenseReluDense.wo.weight'], np.float32).T * scale
    np.testing.assert_array_equal(params['blocks']['down']['kernel'][2], expected)
    np.testing.assert_allclose(params['embedding'], PARAMS['embedding'], rtol=0.005)


def test_errors_name_the_file(tmp_path):
    save_file({'head.modulation': np.ones(3, np.float32)}, path := tmp_path / 'wan.safetensors')
    with pytest.raises(UserError, match=rf'{path} is no UMT5 encoder'):
        read_encoder(path)
