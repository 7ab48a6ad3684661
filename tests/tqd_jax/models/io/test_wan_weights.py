"""Published weights in and out: every layout comes back bit for bit, on one device and on eight; wrong files are named in one line."""
import dataclasses
import errno
import os

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from tensor_files import write_safetensors
from wan_weights import CONFIG, DESCRIBED, assert_same, random_params

from tqd_jax.models.io import write
from tqd_jax.models.io.files import open_tensors
from tqd_jax.models.io.names import layout_of, to_diffusers, to_original
from tqd_jax.models.io.wan import load_params, read_config
from tqd_jax.models.io.write import save_diffusers, save_original
from tqd_jax.models.partition import partition
from tqd_jax.models.wan.model import abstract_params
from tqd_jax.models.wan.storage import dequantise, quantise
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.mesh import make_mesh, shard_tree

BF16, F8 = ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn
PREFIXES = ['', 'model.', 'model.diffusion_model.', 'diffusion_model.', 'any.thing.']


def sharded(abstract, min_size=1):
    """The abstract tree on a mesh of eight devices, every leaf split that can be."""
    shardings = shard_tree(abstract, make_mesh(data=2, fsdp=4), min_size)
    return jax.tree.map(lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), abstract, shardings)


def in_dtype(tree, dtype):
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, dtype), tree)


@pytest.fixture(scope='module')
def params():
    return random_params()


@pytest.fixture(scope='module')
def original(params, tmp_path_factory):
    """The tensors of one file of original names, as a dict to change."""
    path = tmp_path_factory.mktemp('original') / 'w.safetensors'
    save_original(path, CONFIG, params)
    return {name: tensor.read() for name, tensor in open_tensors(path).items()}


@pytest.fixture(scope='module')
def diffusers(params, tmp_path_factory):
    """A folder of shards in diffusers' names."""
    folder = tmp_path_factory.mktemp('diffusers') / 'transformer'
    save_diffusers(folder, CONFIG, params, max_shard_bytes=20_000)
    return folder


@pytest.mark.parametrize('prefix', PREFIXES)
def test_original_names_with_any_prefix_come_back(params, tmp_path, prefix):
    save_original(tmp_path / 'w.safetensors', CONFIG, params, prefix=prefix)
    tensors = open_tensors(tmp_path / 'w.safetensors')
    assert layout_of(tensors) == ('original', prefix) and f'{prefix}blocks.2.self_attn.o.bias' in tensors
    assert read_config(tensors, DESCRIBED) == CONFIG
    assert_same(load_params(tensors, CONFIG, abstract_params(CONFIG)), params)


def test_shards_in_names_of_diffusers_come_back(params, diffusers):
    tensors = open_tensors(diffusers)
    assert len({tensor.path for tensor in tensors.values()}) > 3
    assert (diffusers / 'diffusion_pytorch_model.safetensors.index.json').is_file()
    assert max(path.stat().st_size for path in diffusers.glob('*.safetensors')) < 25_000
    assert layout_of(tensors) == ('diffusers', '') and read_config(tensors, {'num_attention_heads': 2}) == CONFIG
    assert_same(load_params(tensors, CONFIG, abstract_params(CONFIG)), params)


def test_one_shard_has_no_index(params, tmp_path):
    save_diffusers(tmp_path / 'w', CONFIG, params)
    assert sorted(os.listdir(tmp_path / 'w')) == ['config.json', 'diffusion_pytorch_model.safetensors']


def test_the_published_layout_of_a_layer_is_known_by_hand(params, original):
    """What the round trips cannot see: a transpose, the order of rotated channels, and the patch's axes, written out."""
    block = {key: np.asarray(leaf[1]) for key, leaf in params['blocks']['attention']['q'].items()}
    channels = [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11]  # of 12, halves from pairs
    for ours, theirs in enumerate(channels + [12 + channel for channel in channels]):
        np.testing.assert_array_equal(original['blocks.1.self_attn.q.weight'][theirs], block['kernel'][:, ours])
        assert original['blocks.1.self_attn.q.bias'][theirs] == block['bias'][ours]
        assert original['blocks.1.self_attn.norm_k.weight'][theirs] == params['blocks']['attention']['norm_k']['scale'][1, ours]
    np.testing.assert_array_equal(original['blocks.2.cross_attn.k.weight'], params['blocks']['cross']['k']['kernel'][2].T)
    kernel = params['patch_in']['kernel'].reshape(1, 2, 2, 4, 24)
    assert original['patch_embedding.weight'].shape == (24, 4, 1, 2, 2)
    assert original['patch_embedding.weight'][5, 3, 0, 1, 0] == kernel[0, 1, 0, 3, 5]
    np.testing.assert_array_equal(original['blocks.0.modulation'][0], params['blocks']['modulation'][0])


def test_eight_devices_hold_what_one_does(params, diffusers):
    loaded = load_params(open_tensors(diffusers), CONFIG, sharded(abstract_params(CONFIG)))
    assert_same(loaded, params)
    kernel = loaded['blocks']['up']['kernel']
    assert {shard.data.shape for shard in kernel.addressable_shards} == {(3, 24, 10)} and len(kernel.addressable_shards) == 8


def test_each_leaf_comes_in_its_own_dtype_and_parts_alone(params, original):
    selects = lambda path: 'bias' in path
    trained, frozen = partition(abstract_params(CONFIG), selects)
    ours = partition(params, selects)
    assert_same(load_params(original, CONFIG, trained), ours[0])
    loaded = load_params(original, CONFIG, sharded(in_dtype(frozen, jnp.bfloat16)))
    assert_same(loaded, jax.tree.map(lambda leaf: leaf.astype(BF16), ours[1]))


@pytest.mark.parametrize('dtype', [jnp.int8, jnp.float8_e4m3fn])
def test_kernels_are_quantised_on_reading_by_whole_channels(params, original, dtype):
    stored = lambda *shape: {'kernel': jax.ShapeDtypeStruct(shape, dtype),
                             'kernel_scale': jax.ShapeDtypeStruct((*shape[:-2], 1, shape[-1]), jnp.float32)}
    abstract = {'blocks': {'down': stored(3, 40, 24), 'attention': {'q': stored(3, 24, 24)}}, 'text_out': stored(24, 24)}
    expected = {'kernel': [], 'kernel_scale': []}
    for kernel in params['blocks']['attention']['q']['kernel']:
        values, scale = quantise(kernel, dtype)
        expected['kernel'].append(values)
        expected['kernel_scale'].append(scale)
        largest = 127 if dtype == jnp.int8 else 448
        np.testing.assert_allclose(scale[0], np.abs(kernel).max(0) / largest, rtol=1e-6)
        error = np.abs(dequantise(values, scale) - kernel)
        assert (error <= (scale / 2 if dtype == jnp.int8 else np.abs(kernel) / 16 + scale)).all() and error.max() > 0
    whole = load_params(original, CONFIG, abstract)
    assert_same(whole['blocks']['attention']['q'], {key: np.stack(rows) for key, rows in expected.items()})
    assert_same(load_params(original, CONFIG, sharded(abstract)), whole)
    assert_same(whole['text_out'], dict(zip(('kernel', 'kernel_scale'), quantise(params['text_out']['kernel'], dtype), strict=True)))


def test_a_channel_of_zeros_has_scale_one():
    values, scale = quantise(np.zeros((3, 2), 'f'), np.int8)
    assert not values.any() and (scale == 1).all()


def test_float8_files_plain_and_scaled_are_what_they_stand_for(params, original, tmp_path):
    plain = {name: array.astype(F8) if array.ndim == 2 else array for name, array in original.items()}
    weight = 'blocks.1.ffn.0.weight'
    path = write_safetensors(tmp_path / 'w.safetensors', plain)
    loaded = load_params(open_tensors(path), CONFIG, abstract_params(CONFIG))
    np.testing.assert_array_equal(loaded['blocks']['up']['kernel'][1], plain[weight].T.astype('f'))
    scales = {name.replace('.weight', '.scale_weight'): np.full(1, i + 2, 'f') for i, name in enumerate(plain) if plain[name].dtype == F8}
    write_safetensors(path, plain | scales | {'scaled_fp8': np.zeros(0, F8)})
    loaded = load_params(open_tensors(path), CONFIG, sharded(abstract_params(CONFIG)))
    factor = scales['blocks.1.ffn.0.scale_weight'][0]
    np.testing.assert_array_equal(loaded['blocks']['up']['kernel'][1], plain[weight].T.astype('f') * factor)


def test_writing_keeps_dtypes_and_dequantises(params, tmp_path):
    values, scale = (np.stack(parts) for parts in zip(*(quantise(k, np.int8) for k in params['blocks']['up']['kernel']), strict=True))
    tree = jax.tree.map(lambda leaf: leaf.astype(BF16), params)
    tree['blocks']['up'] |= {'kernel': jnp.asarray(values), 'kernel_scale': jnp.asarray(scale)}
    save_original(tmp_path / 'w.safetensors', CONFIG, tree)
    tensors = open_tensors(tmp_path / 'w.safetensors')
    assert tensors['blocks.0.ffn.0.weight'].dtype == np.float32 and tensors['head.head.bias'].dtype == BF16
    np.testing.assert_array_equal(tensors['blocks.0.ffn.0.weight'], (values[0] * scale[0]).T)
    assert all(tensor.offset % tensor.dtype.itemsize == 0 for tensor in tensors.values())
    save_original(tmp_path / 'w.safetensors', CONFIG, tree, dtype=np.float16)
    assert {tensor.dtype for tensor in open_tensors(tmp_path / 'w.safetensors').values()} == {np.dtype(np.float16)}


def test_arrays_on_eight_devices_are_written_as_they_are(params, original, tmp_path):
    loaded = load_params(original, CONFIG, sharded(abstract_params(CONFIG)))
    save_original(tmp_path / 'w.safetensors', CONFIG, loaded)
    tensors = open_tensors(tmp_path / 'w.safetensors')
    assert tensors.keys() == original.keys()
    for name, array in original.items():
        np.testing.assert_array_equal(tensors[name], array)


def test_names_are_told_both_ways(original):
    for name in original:
        assert to_original(to_diffusers(name)) == name and to_original(name, 'original') == name
    assert to_diffusers('blocks.11.norm3.bias') == 'blocks.11.norm2.bias' and to_diffusers('head.modulation') == 'scale_shift_table'
    for name in ('blocks.0.norm2.bias', 'blocks.x.ffn.0.bias', 'freqs', 'blocks.0.self_attn.q.scale', 'patch_embedding.weight.x'):
        assert to_diffusers(name) is None


@pytest.mark.parametrize(('change', 'message'), [
    ({'blocks.1.ffn.2.bias': None, 'head.head.bias': None}, r'lack 2 tensors, such as blocks\.1\.ffn\.2\.bias, head\.head\.bias'),
    ({'blocks.3.ffn.2.bias': np.zeros(24, 'f')}, r'beyond what the model takes, 1 tensor, such as blocks\.3\.ffn\.2\.bias'),
    ({'blocks.0.before_proj.weight': np.zeros(24, 'f')}, r'beyond what the model takes, 1 tensor, such as blocks\.0\.before_proj'),
    ({'head.head.bias': np.zeros(3, 'f')}, r'head\.head\.bias has shape \[3\], the config wants \[16\]'),
    ({'head.head.bias': np.zeros(16, np.int8)}, r'head\.head\.bias is of dtype int8'),
    ({'img_emb.proj.0.bias': np.zeros(3, 'f')}, r'img_emb\.proj\.0\.bias belongs to an image-to-video model, which is not supported'),
    ({'blocks.0.attn2.add_k_proj.weight': np.zeros(3, 'f')}, r'add_k_proj\.weight belongs to an image-to-video model'),
    ({'head.head.weight_scale_2': np.zeros(3, 'f')}, r'head\.head\.weight_scale_2 belongs to a quantisation'),
    ({'head.modulation': None}, 'no Wan transformer'),
    ({'other.head.modulation': np.zeros(3, 'f')}, r'several transformers, at head\.modulation and other\.head\.modulation'),
])
def test_other_weights_are_refused_by_name(original, change, message):
    weights = {name: array for name, array in (original | change).items() if array is not None}
    with pytest.raises(UserError, match=message) as caught:
        load_params(weights, CONFIG, abstract_params(CONFIG))
    assert '\n' not in str(caught.value)


def test_a_missing_tensor_has_its_name_in_the_file(diffusers):
    tensors = dict(open_tensors(diffusers))
    del tensors['blocks.1.attn1.to_out.0.weight']
    with pytest.raises(UserError, match=r'lack 1 tensor, such as blocks\.1\.attn1\.to_out\.0\.weight'):
        load_params(tensors, CONFIG, abstract_params(CONFIG))
    tensors = dict(open_tensors(diffusers)) | {'blocks.0.attn2.norm_added_q.weight': np.zeros(3, 'f')}  # unused where it stands
    load_params(tensors, CONFIG, {'modulation': abstract_params(CONFIG)['modulation']})


def test_a_contract_that_is_not_kept_is_a_programming_error(params, original):
    leaf = jax.ShapeDtypeStruct((3, 24, 40), jnp.int8)
    for abstract, message in [
        ({'blocks': {'up': {'kernel': leaf}}}, 'int8 lacks a kernel_scale'),
        ({'blocks': {'up': {'lora_a': leaf}}}, r'blocks\.up\.lora_a .* is not in published weights'),
        ({'blocks': {'down': {'kernel': leaf}}}, r'blocks\.down\.kernel of shape \(3, 24, 40\) is not .*, \(3, 40, 24\) is'),
    ]:
        with pytest.raises(ValueError, match=message):
            load_params(original, CONFIG, abstract)
    with pytest.raises(ValueError, match='vocab'):
        load_params(original, dataclasses.replace(CONFIG, vocab=5), {})
    with pytest.raises(ValueError, match='lora_a is none of the published parameters'):
        save_original('unused', CONFIG, params | {'text_in': params['text_in'] | {'lora_a': params['modulation']}})
    with pytest.raises(ValueError, match=r'text_in\.bias is missing'):
        save_original('unused', CONFIG, params | {'text_in': {'kernel': params['text_in']['kernel']}})


def test_the_config_is_in_the_shapes_and_config_json_must_agree(original, params, tmp_path):
    config = dataclasses.replace(CONFIG, heads=2, head_dim=128, layers=1, patch=(2, 1, 4), out_channels=6, eps=1e-5)
    save_original(tmp_path / 'w.safetensors', config, random_params(config))
    assert read_config(open_tensors(tmp_path / 'w.safetensors'), {'eps': 1e-5}) == config  # heads are 128 wide where nothing is said
    with pytest.raises(UserError, match='24 wide, which heads of 128 do not divide'):
        read_config(original)
    for said, message in [
        ({'num_layers': 4}, 'num_layers 4, .* say 3'),
        ({'attention_head_dim': 12, 'num_attention_heads': 3}, 'num_attention_heads 3, .* say 2'),
        ({'in_channels': 16}, 'in_channels 16, .* say 4'),
        ({'patch_size': [1, 4, 4]}, r'patch_size \(1, 4, 4\), .* say \(1, 2, 2\)'),
        ({'model_type': 'i2v'}, "model_type 'i2v', which is not supported"),
        ({'image_dim': 1280}, 'image_dim 1280, which is not supported'),
        ({'qk_norm': False}, 'qk_norm False'),
        ({'num_heads': 8}, 'make no model'),
    ]:
        with pytest.raises(UserError, match=message):
            read_config(original, DESCRIBED | said)


def test_models_that_take_images_are_refused(original):
    weights = original | {'patch_embedding.weight': np.zeros((24, 12, 1, 2, 2), 'f')}
    with pytest.raises(UserError, match='takes 12 channels and gives 4, as image-to-video'):
        read_config(weights, DESCRIBED)
    with pytest.raises(UserError, match='image-to-video model, which is not supported'):
        read_config(original | {'img_emb.proj.0.bias': np.zeros(3, 'f')}, DESCRIBED)
    del weights['time_embedding.0.weight']
    with pytest.raises(UserError, match=r'lacks time_embedding\.0\.weight'):
        read_config(weights, DESCRIBED)


@pytest.mark.parametrize('save', [save_original, save_diffusers])
def test_a_full_disk_is_one_line_and_leaves_nothing(params, tmp_path, monkeypatch, save):
    written = []

    def failing(file, name, number=write.write_tensors):
        written.append(file)
        number(file, name)
        if len(written) == (1 if save is save_original else 3):
            raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(write, 'write_tensors', failing)
    kwargs = {} if save is save_original else {'max_shard_bytes': 20_000}
    with pytest.raises(UserError, match=r'w cannot be written \(No space left on device\)'):
        save(tmp_path / 'w', CONFIG, params, **kwargs)
    assert written and os.listdir(tmp_path) == []


def test_a_folder_with_files_is_left_alone(params, diffusers):
    before = sorted(os.listdir(diffusers))
    with pytest.raises(UserError, match='has files already'):
        save_diffusers(diffusers, CONFIG, params)
    assert sorted(os.listdir(diffusers)) == before
