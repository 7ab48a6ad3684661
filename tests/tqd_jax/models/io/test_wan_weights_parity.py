"""Published layouts against diffusers itself: what it saves is read bit for bit, and what we save it loads bit for bit."""
import jax
import ml_dtypes
import numpy as np
import pytest
from wan_weights import CONFIG, assert_same, random_params

from tqd_jax.models.io.files import open_tensors
from tqd_jax.models.io.places import find_parts
from tqd_jax.models.io.wan import load_params, read_config
from tqd_jax.models.io.write import save_diffusers, save_original
from tqd_jax.models.wan.model import abstract_params

# the reference's own imports use what its dependencies have deprecated; nothing of ours is silenced
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings('ignore')]
torch = pytest.importorskip('torch')


@pytest.fixture(scope='module')
def module():
    """diffusers' transformer of CONFIG with random weights."""
    from diffusers import WanTransformer3DModel

    torch.manual_seed(0)
    module = WanTransformer3DModel(num_attention_heads=2, attention_head_dim=12, in_channels=4, out_channels=4, text_dim=16, freq_dim=32,
                                   ffn_dim=40, num_layers=3, cross_attn_norm=True, qk_norm='rms_norm_across_heads', rope_max_seq_len=32)
    with torch.no_grad():
        for weight in module.parameters():
            weight.normal_()
    return module


@pytest.fixture(scope='module')
def folder(module, tmp_path_factory):
    """What diffusers saves of it, in shards."""
    folder = tmp_path_factory.mktemp('pipeline')
    module.save_pretrained(folder / 'transformer', max_shard_size='20KB')
    return folder


@pytest.fixture(scope='module')
def original(folder, tmp_path_factory):
    """The same weights in original names, renamed by diffusers' own table for single files, read backwards."""
    from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers

    path = tmp_path_factory.mktemp('original') / 'w.safetensors'
    save_original(path, CONFIG, load(folder))
    state = {name: torch.from_numpy(tensor.read()) for name, tensor in open_tensors(path).items()}
    assert same_state(convert_wan_transformer_to_diffusers(dict(state)), open_tensors(folder / 'transformer'))
    return state


def load(folder):
    tensors = open_tensors(find_parts(folder).experts['model'])
    return load_params(tensors, CONFIG, abstract_params(CONFIG))


def same_state(theirs, arrays):
    """Whether a state dict has these arrays, bit for bit."""
    return theirs.keys() == arrays.keys() and all(
        (value.float().numpy() == np.asarray(arrays[name], np.float32)).all() for name, value in theirs.items())


def test_what_diffusers_saves_is_read_bit_for_bit(module, folder):
    parts = find_parts(folder)
    tensors = open_tensors(parts.experts['model'])
    assert len({tensor.path for tensor in tensors.values()}) > 3 and same_state(module.state_dict(), tensors)
    assert parts.settings['_class_name'] == 'WanTransformer3DModel' and read_config(tensors, parts.settings) == CONFIG
    params = load(folder)
    np.testing.assert_array_equal(params['blocks']['down']['kernel'][2], module.blocks[2].ffn.net[2].weight.detach().numpy().T)


@pytest.mark.parametrize('prefix', ['', 'model.diffusion_model.'])
def test_a_torch_file_of_original_names_is_read_bit_for_bit(folder, original, tmp_path, prefix):
    torch.save({f'{prefix}{name}': value for name, value in original.items()}, tmp_path / 'w.pth')
    assert_same(load_params(open_tensors(tmp_path / 'w.pth'), CONFIG, abstract_params(CONFIG)), load(folder))
    transposed = lambda value: value.bfloat16().T.contiguous().T if value.ndim == 2 else value.bfloat16()
    torch.save({f'{prefix}{name}': transposed(value) for name, value in original.items()}, tmp_path / 'w.pth')
    expected = jax.tree.map(lambda leaf: np.asarray(leaf).astype(ml_dtypes.bfloat16).astype(np.float32), load(folder))
    assert_same(load_params(open_tensors(tmp_path / 'w.pth'), CONFIG, abstract_params(CONFIG)), expected)


@pytest.mark.parametrize('dtype', ['float8_e4m3fn', 'float8_e5m2'])
def test_a_float8_file_of_torch_is_read_as_torch_reads_it(original, tmp_path, dtype):
    from safetensors.torch import save_file

    cast = {name: value.to(getattr(torch, dtype)) if value.ndim == 2 else value.bfloat16() for name, value in original.items()}
    save_file(cast, tmp_path / 'w.safetensors')
    assert same_state(cast, open_tensors(tmp_path / 'w.safetensors'))
    params = load_params(open_tensors(tmp_path / 'w.safetensors'), CONFIG, abstract_params(CONFIG))
    np.testing.assert_array_equal(params['blocks']['up']['kernel'][1], cast['blocks.1.ffn.0.weight'].float().numpy().T)


@pytest.mark.parametrize(('size', 'dtype'), [(20_000, None), (20_000, ml_dtypes.bfloat16), (10**9, np.float16)])
def test_diffusers_loads_what_we_save(tmp_path, size, dtype):
    from diffusers import WanTransformer3DModel

    params = random_params(seed=5)
    save_diffusers(tmp_path / 'w', CONFIG, params, max_shard_bytes=size, dtype=dtype)
    kind = {None: torch.float32, ml_dtypes.bfloat16: torch.bfloat16, np.float16: torch.float16}[dtype]
    module, info = WanTransformer3DModel.from_pretrained(tmp_path / 'w', torch_dtype=kind, output_loading_info=True)
    assert not any(info.values()) and module.config.num_attention_heads == 2 and module.config.patch_size == [1, 2, 2]
    assert same_state(module.state_dict(), open_tensors(tmp_path / 'w'))
    if dtype is None:
        assert_same(load(tmp_path / 'w'), params)


@pytest.mark.parametrize('prefix', ['', 'model.diffusion_model.'])
def test_diffusers_reads_our_single_file(module, folder, tmp_path, prefix):
    from diffusers import WanTransformer3DModel

    save_original(tmp_path / 'w.safetensors', CONFIG, load(folder), prefix=prefix)
    theirs = WanTransformer3DModel.from_single_file(str(tmp_path / 'w.safetensors'), config=str(folder / 'transformer'),
                                                    local_files_only=True)
    assert same_state(module.state_dict(), {name: value.numpy() for name, value in theirs.state_dict().items()})
