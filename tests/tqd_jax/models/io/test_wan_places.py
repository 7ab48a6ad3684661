"""Where the parts of a model lie: every published folder is taken apart by the keys of its files; half a model is refused by name."""
import json

import numpy as np
import pytest
from safetensors.numpy import save_file
from wan_weights import CONFIG, DESCRIBED, random_params

from tqd_jax.models.io.files import open_tensors
from tqd_jax.models.io.places import find_parts
from tqd_jax.models.io.write import save_diffusers, save_original
from transfer_jax.runtime.errors import UserError

VAE = {'original': 'decoder.middle.0.residual.0.gamma', 'diffusers': 'decoder.mid_block.resnets.0.norm1.gamma'}
TEXT = {'original': ('token_embedding.weight', 'blocks.0.pos_embedding.embedding.weight'), 'diffusers': ('shared.weight', 'encoder.x')}


@pytest.fixture(scope='module')
def params():
    return random_params()


def save(path, *names):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: np.ones(2, 'f') for name in names}, path)


def tokenizer(folder):
    folder.mkdir(parents=True)
    (folder / 'spiece.model').write_bytes(b'')


@pytest.fixture
def diffusers(params, tmp_path):
    """A pipeline's folder as diffusers writes it; its transformer and text encoder are in shards."""
    save_diffusers(tmp_path / 'transformer', CONFIG, params, max_shard_bytes=20_000)
    save(tmp_path / 'vae/diffusion_pytorch_model.safetensors', VAE['diffusers'])
    names = TEXT['diffusers']
    for number, name in enumerate(names, 1):
        save(tmp_path / f'text_encoder/model-0000{number}-of-00002.safetensors', name)
    index = {'weight_map': {name: f'model-0000{number}-of-00002.safetensors' for number, name in enumerate(names, 1)}}
    (tmp_path / 'text_encoder/model.safetensors.index.json').write_text(json.dumps(index))
    tokenizer(tmp_path / 'tokenizer')
    (tmp_path / 'model_index.json').write_text(json.dumps({'transformer_2': [None, None], 'boundary_ratio': 0.875}))
    return tmp_path


@pytest.fixture
def original(params, tmp_path):
    """A folder as Wan-AI publishes it."""
    save_original(tmp_path / 'whole', CONFIG, params)
    tensors = {name: tensor.read() for name, tensor in open_tensors(tmp_path / 'whole').items()}
    places = {}
    for number in (1, 2):  # names of files as diffusers', other tensors in them
        part = {name: tensors[name] for name in sorted(tensors)[number - 1::2]}
        save_file(part, tmp_path / (shard := f'diffusion_pytorch_model-0000{number}-of-00002.safetensors'))
        places |= dict.fromkeys(part, shard)
    (tmp_path / 'diffusion_pytorch_model.safetensors.index.json').write_text(json.dumps({'weight_map': places}))
    (tmp_path / 'config.json').write_text(json.dumps(DESCRIBED))
    save(tmp_path / 'Wan2.1_VAE.safetensors', VAE['original'])
    save(tmp_path / 'models_t5.safetensors', *TEXT['original'])
    tokenizer(tmp_path / 'google/umt5-xxl')
    return tmp_path


def two(folder, params, high='high_noise_model', low='low_noise_model'):
    for name in (high, low):
        save_diffusers(folder / name, CONFIG, params, max_shard_bytes=20_000)
    save(folder / 'Wan2.1_VAE.safetensors', VAE['original'])
    return folder


def test_a_folder_of_diffusers(diffusers):
    parts = find_parts(diffusers)
    assert parts.experts == {'model': diffusers / 'transformer'} and parts.layout == 'diffusers'
    assert parts.boundary is None  # a boundary without a second transformer is none
    assert parts.settings['num_layers'] == 3 and parts.vae == diffusers / 'vae/diffusion_pytorch_model.safetensors'
    assert (parts.text_encoder, parts.tokenizer) == (diffusers / 'text_encoder', diffusers / 'tokenizer')
    assert find_parts(diffusers / 'transformer').experts == {'model': diffusers / 'transformer'}
    assert find_parts(diffusers / 'transformer').vae is None


def test_a_folder_of_the_original(original):
    parts = find_parts(original)
    assert parts.experts == {'model': original} and parts.layout == 'original'
    assert parts.settings == DESCRIBED and parts.vae == original / 'Wan2.1_VAE.safetensors'
    assert (parts.text_encoder, parts.tokenizer) == (original / 'models_t5.safetensors', original / 'google/umt5-xxl')


def test_one_file(params, tmp_path):
    path = tmp_path / 'wan_high_noise.safetensors'
    save_original(path, CONFIG, params, prefix='model.diffusion_model.')
    save(tmp_path / 'v/v.safetensors', VAE['original'])
    (tmp_path / 'config.json').write_text('{"_class_name": "Other"}')  # not the transformer's
    parts = find_parts(str(path), vae=tmp_path / 'v/v.safetensors', tokenizer=tmp_path)
    assert parts.experts == {'model': path} and parts.layout == 'original' and parts.settings is None
    assert (parts.vae, parts.text_encoder, parts.tokenizer) == (tmp_path / 'v/v.safetensors', None, tmp_path)


@pytest.mark.parametrize('names', [('high_noise_model', 'low_noise_model'), ('transformer', 'transformer_2')])
def test_two_experts(params, tmp_path, names):
    parts = find_parts(two(tmp_path, params, *names))
    assert parts.experts == {'high': tmp_path / names[0], 'low': tmp_path / names[1]} and parts.boundary == 0.875
    (tmp_path / 'model_index.json').write_text(json.dumps({'transformer_2': ['diffusers', 'x'], 'boundary_ratio': 0.75}))
    assert find_parts(tmp_path).boundary == 0.75
    assert find_parts(tmp_path / names[1]).experts == {'model': tmp_path / names[1]}


def test_two_experts_in_single_files(params, tmp_path):
    for name in ('wan2.2_LOW_14B', 'wan2.2_high_14B'):
        save_original(tmp_path / f'{name}.safetensors', CONFIG, params)
    assert {name: path.stem for name, path in find_parts(tmp_path).experts.items()} == {'high': 'wan2.2_high_14B', 'low': 'wan2.2_LOW_14B'}


def refused(message, *args, **kwargs):
    with pytest.raises(UserError, match=message) as caught:
        find_parts(*args, **kwargs)
    assert '\n' not in str(caught.value)


def test_half_a_model_is_refused(params, tmp_path):
    save_diffusers(tmp_path / 'a/high_noise_model', CONFIG, params)
    refused(r'a has one expert of two, that for high noise, at .*high_noise_model', tmp_path / 'a')
    save_diffusers(tmp_path / 'b/transformer', CONFIG, params)
    (tmp_path / 'b/model_index.json').write_text(json.dumps({'transformer_2': ['diffusers', 'x']}))
    refused('b has one expert of two, that for high noise, at .*transformer', tmp_path / 'b')
    save_diffusers(tmp_path / 'c/transformer_2', CONFIG, params)
    refused('c has one expert of two, that for low noise', tmp_path / 'c')


def test_no_transformer_or_several_are_refused(params, tmp_path):
    refused('has no Wan transformer; found: no weights at all', tmp_path)
    save(tmp_path / 'x/vae.safetensors', VAE['original'])
    save(tmp_path / 'lora.safetensors', 'blocks.0.lora_A.weight')
    refused(r'found: other weights at lora\.safetensors, a VAE at x/vae\.safetensors', tmp_path)
    refused(r'vae\.safetensors has no Wan transformer; found: a VAE;', tmp_path / 'x/vae.safetensors')
    refused('absent cannot be read', tmp_path / 'absent')
    for name in 'ab':
        save_original(tmp_path / f'{name}.safetensors', CONFIG, params)
    refused(r'2 transformers, .*a\.safetensors, .*b\.safetensors', tmp_path)


def test_parts_that_could_be_others_are_refused(original):
    save(original / 'x/vae.safetensors', VAE['original'])
    refused(r'Wan2\.1_VAE\.safetensors and .*x/vae\.safetensors are each a VAE', original)
    assert find_parts(original, vae=original / 'x/vae.safetensors').vae == original / 'x/vae.safetensors'
    refused(r'x/vae\.safetensors is a VAE, not a text encoder', original, vae=original / 'x/vae.safetensors',
            text_encoder=original / 'x/vae.safetensors')
    refused('there is no tokenizer', original, vae=original / 'x/vae.safetensors', tokenizer=original / 'none')


def test_damaged_files_are_named(diffusers):
    shard = sorted((diffusers / 'transformer').glob('*-00002-of-*.safetensors'))[0]
    shard.write_bytes(shard.read_bytes()[:-1])
    refused(r'model-00002-of-\d+\.safetensors is cut short', diffusers)
    shard.unlink()
    refused(r'model-00002-of-\d+\.safetensors is absent; the index has', diffusers)


def test_a_damaged_description_is_named(diffusers):
    (diffusers / 'transformer/config.json').write_text('{')
    refused(r'transformer/config\.json cannot be read', diffusers)
    (diffusers / 'model_index.json').write_text('3')
    refused(r'model_index\.json cannot be read', diffusers)
