"""Files of weights: both layouts give one model, heads and grids of another size give a note, and any mismatch is one line."""
import functools

import numpy as np
import pytest
import safetensors.numpy
from state_dicts import saved, timm_vit, torchvision_vit

from transfer_jax.experiment.models.build import ModelConfig, build
from transfer_jax.experiment.models.model import model_of, shapes
from transfer_jax.experiment.models.pretrained import load
from transfer_jax.experiment.models.resnet import ResNet, ResNetSizes
from transfer_jax.experiment.models.vit import ViT, ViTSizes
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.keys import stream_key

GRID = (2, 3)


def vit(outputs=5, grid=GRID):
    return functools.partial(ViT, ViTSizes(dim=12, depth=2, heads=3), (16 * grid[0], 16 * grid[1], 3), outputs, dtype='float32')


def assert_refused(state, tmp_path, message):
    path = saved(state, tmp_path / 'w.npz')
    with pytest.raises(UserError, match=message) as error:
        load(path, shapes(vit()), GRID)
    assert path in str(error.value) and '\n' not in str(error.value)


@pytest.mark.parametrize('suffix', ['npz', 'safetensors'])
@pytest.mark.parametrize('layout', ['torchvision', 'published'])
def test_both_layouts_give_the_same_arrays(layout, suffix, tmp_path):
    state = timm_vit()
    reference, notes = load(saved(state, tmp_path / 'timm.npz'), shapes(vit()), GRID)
    arrays, _ = load(saved(torchvision_vit(state, layout == 'published'), tmp_path / f'tv.{suffix}'), shapes(vit()), GRID)
    assert notes == () and arrays.keys() == reference.keys() == shapes(vit()).keys()
    for path, array in reference.items():
        np.testing.assert_array_equal(arrays[path], array)
        assert array.dtype == np.float32


def test_kernels_are_transposed_and_blocks_stacked(tmp_path):
    state = timm_vit()
    arrays, _ = load(saved(state, tmp_path / 'w.npz'), shapes(vit()), GRID)
    np.testing.assert_array_equal(arrays['blocks', 'mlp', 'fc1', 'kernel'][1], state['blocks.1.mlp.fc1.weight'].T)
    np.testing.assert_array_equal(arrays['patch_embed', 'kernel'][3, 4, 2], state['patch_embed.proj.weight'][:, 2, 3, 4])
    np.testing.assert_array_equal(arrays['head', 'kernel'], state['head.weight'].T)


def test_half_precision_is_read(tmp_path):
    state = {name: array.astype(np.float16) for name, array in timm_vit().items()}
    arrays, _ = load(saved(state, tmp_path / 'w.safetensors'), shapes(vit()), GRID)
    assert arrays['head', 'kernel'].dtype == np.float32
    np.testing.assert_array_equal(arrays['head', 'kernel'], state['head.weight'].T.astype('f'))


@pytest.mark.parametrize('missing, message', [(False, 'its head of 5 outputs was left out'), (True, 'it has no head')])
def test_a_head_that_does_not_fit_starts_afresh_with_a_note(missing, message, tmp_path):
    state = {name: array for name, array in timm_vit().items() if not (missing and name.startswith('head'))}
    arrays, (note,) = load(saved(state, tmp_path / 'w.npz'), shapes(vit(7)), GRID)
    assert message in note and 'of 7, starts afresh' in note and not any(path[0] == 'head' for path in arrays)
    trained, frozen = model_of(vit(7), trainable='head', arrays=arrays).init(stream_key(0, 'init'))
    assert trained['head']['kernel'].shape == (12, 7) and np.any(trained['head']['kernel'])
    np.testing.assert_array_equal(frozen['cls_token'], state['cls_token'])


def test_a_constant_grid_stays_constant_when_interpolated(tmp_path):
    state = timm_vit(patches=9)
    state['pos_embed'][:, 1:] = np.linspace(-1, 1, 12)
    arrays, (note,) = load(saved(state, tmp_path / 'w.npz'), shapes(vit()), GRID)
    np.testing.assert_allclose(arrays['pos_embed',][0, 1:], np.tile(np.linspace(-1, 1, 12), (6, 1)), atol=1e-6)
    assert 'pos_embed was interpolated from 3 x 3 patches to 2 x 3' in note


def test_a_square_grid_of_as_many_patches_is_no_oblong_one(tmp_path):
    state = timm_vit(patches=4)
    arrays, notes = load(saved(state, tmp_path / 'w.npz'), shapes(vit(grid=(1, 4))), (1, 4))
    assert len(notes) == 1 and np.abs(arrays['pos_embed',] - state['pos_embed']).max() > 1e-2


def test_a_resnet_takes_its_statistics_and_no_counts_of_batches(tmp_path):
    make = functools.partial(ResNet, ResNetSizes(depths=(1,), bottleneck=False, width=4), 3, 2, norm='batch', dtype='float32')
    rng, norm = np.random.default_rng(0), ('weight', 'bias', 'running_mean', 'running_var')
    sizes = {'conv1.weight': (4, 3, 7, 7), 'layer1.0.conv1.weight': (4, 4, 3, 3), 'layer1.0.conv2.weight': (4, 4, 3, 3)}
    sizes |= {f'{bn}.{leaf}': (4,) for bn in ('bn1', 'layer1.0.bn1', 'layer1.0.bn2') for leaf in norm}
    sizes |= {'fc.weight': (2, 4), 'fc.bias': (2,)}
    state = {name: rng.normal(size=size).astype('f') for name, size in sizes.items()} | {'bn1.num_batches_tracked': np.array(7)}
    arrays, notes = load(saved(state, tmp_path / 'w.npz'), shapes(make))
    assert notes == () and arrays.keys() == shapes(make).keys()
    np.testing.assert_array_equal(arrays['layer1', 0, 'bn2', 'var'], state['layer1.0.bn2.running_var'])
    np.testing.assert_array_equal(arrays['bn1', 'scale'], state['bn1.weight'])


def test_a_missing_tensor_is_named(tmp_path):
    state = timm_vit()
    for name in ('blocks.1.attn.qkv.bias', 'norm.weight', 'norm.bias', 'cls_token'):
        del state[name]
    assert_refused(state, tmp_path, r'lacks 4 tensors, such as blocks\.1\.attn\.qkv\.bias, cls_token, norm\.bias; choose the model.kind')


def test_half_a_head_is_a_missing_tensor(tmp_path):
    state = timm_vit()
    del state['head.bias']
    assert_refused(state, tmp_path, r'lacks 1 tensor, such as head\.bias')


def test_missing_tensors_have_the_names_of_the_files_layout(tmp_path):
    state = torchvision_vit(timm_vit())
    del state['encoder.layers.encoder_layer_0.mlp.3.weight']
    assert_refused(state, tmp_path, r'such as encoder\.layers\.encoder_layer_0\.mlp\.3\.weight;')


def test_a_superfluous_tensor_is_named(tmp_path):
    state = timm_vit() | {'dist_token': np.zeros((1, 1, 12), 'f')}
    assert_refused(state, tmp_path, 'has, beyond what the model takes, 1 tensor, such as dist_token')


def test_deeper_blocks_are_superfluous(tmp_path):
    assert_refused(timm_vit(depth=3), tmp_path, r'has, beyond what the model takes, 12 tensors, such as blocks\.2\.attn')


def test_a_misshapen_tensor_is_named_with_both_shapes(tmp_path):
    state = timm_vit() | {'blocks.0.mlp.fc1.weight': np.zeros((12, 12), 'f')}
    assert_refused(state, tmp_path, r'blocks\.0\.mlp\.fc1\.weight has shape \[12, 12\], the model wants \[48, 12\]')


def test_a_tensor_that_is_not_finite_is_named(tmp_path):
    state = timm_vit()
    state['norm.bias'][3] = np.nan
    assert_refused(state, tmp_path, r'norm\.bias holds NaN or infinity')


@pytest.mark.parametrize('name, content, message', [
    ('w.safetensors', b'not at all', 'cannot be read'),
    ('w.npz', b'not at all', 'cannot be read'),
    ('w.npz', b'', 'cannot be read'),
    ('w.safetensors', safetensors.numpy.save({'a': np.zeros(9)})[:-8], 'cannot be read'),
    ('w.npz', None, 'there is no file'),
    ('w.pth', b'', 'give a .safetensors or .npz file'),
])
def test_a_file_that_cannot_be_read_is_one_line(name, content, message, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        build(ModelConfig(kind='vit_s16', weights=str(tmp_path / name)), (32, 32, 3), 2)
    assert str(tmp_path / name) in str(error.value) and '\n' not in str(error.value)


def test_the_file_of_another_kind_is_refused(tmp_path):
    with pytest.raises(UserError, match=r'lacks 100 tensors, such as bn1\.bias.*; choose the model.kind'):
        build(ModelConfig(kind='resnet18', weights=saved(timm_vit(), tmp_path / 'w.npz')), (32, 32, 3), 2)
