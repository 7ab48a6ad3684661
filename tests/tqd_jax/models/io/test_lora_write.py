"""LoRA files that we write have the published names and matrices."""
import json
import types

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors
from loras import CONFIG, NAMES, ONE, assert_same, in_layout, published
from safetensors.numpy import load_file

from tqd_jax.models.io.lora import read_lora
from tqd_jax.models.io.lora_write import write_lora
from transfer_jax.runtime.errors import UserError

WRITTEN = {'comfyui': ('comfyui', 'B'), 'diffusers': ('diffusers', 'A'), 'kohya': ('kohya', 'C')}


def written(path):
    """(tensors, metadata) of a file."""
    with safetensors.safe_open(path, 'numpy') as file:
        return load_file(path), file.metadata()


@pytest.mark.parametrize('kind', WRITTEN)
def test_files_have_the_published_names_and_matrices(tmp_path, kind):
    layout, letter = WRITTEN[kind]
    pairs = published()
    lora = read_lora(in_layout('comfyui', pairs, dict.fromkeys(pairs, 2)), CONFIG)
    path = write_lora(tmp_path / 'new' / 'x.safetensors', lora.tree, rank=4, alpha=2.0, config=CONFIG, kind=kind)
    assert path == tmp_path / 'new' / 'x.safetensors' and [file.name for file in path.parent.iterdir()] == ['x.safetensors']
    tensors, metadata = written(path)
    expected = in_layout(layout, pairs, None if kind == 'diffusers' else dict.fromkeys(pairs, 2))
    assert tensors.keys() == expected.keys()
    for name, tensor in expected.items():
        np.testing.assert_array_equal(tensors[name], tensor)
        assert tensors[name].dtype == np.float32
    back = read_lora(tensors, CONFIG, metadata=metadata)
    assert_same(back, pairs, 0.5)
    assert (back.kind, back.alpha, back.has_alpha) == (letter, 2.0, True)


def test_diffusers_settings_are_in_the_metadata_of_the_usual_file(tmp_path):
    lora = read_lora(in_layout('comfyui', published(targets=('attention/q', 'down'))), CONFIG)
    path = write_lora(tmp_path, lora.tree, rank=4, alpha=1.5, config=CONFIG, kind='diffusers')
    assert path == tmp_path / 'pytorch_lora_weights.safetensors'
    metadata = written(path)[1]
    assert json.loads(metadata['lora_adapter_metadata']) == {
        'transformer.r': 4, 'transformer.lora_alpha': 1.5, 'transformer.target_modules': ['attn1.to_q', 'ffn.net.2']}


@pytest.mark.parametrize('kind', WRITTEN)
def test_half_precision_is_of_a_and_b_alone(tmp_path, kind):
    lora = read_lora(in_layout('comfyui', published()), CONFIG)
    path = write_lora(tmp_path / 'x.safetensors', lora.tree, rank=4, alpha=0.3, config=CONFIG, kind=kind, dtype='bfloat16')
    tensors, metadata = written(path)
    assert {tensor.dtype.name for name, tensor in tensors.items() if not name.endswith('alpha')} == {'bfloat16'}
    np.testing.assert_allclose(read_lora(tensors, CONFIG, metadata=metadata).alpha, 0.3, rtol=1e-7)


def test_device_arrays_are_written_as_they_are(tmp_path):
    lora = read_lora(in_layout('comfyui', pairs := published(targets=('attention/k',))), CONFIG)
    node = lora.tree['blocks']['attention']['k']
    tree = {'blocks': {'attention': {'k': {name: jnp.asarray(leaf) for name, leaf in node.items()}}}}
    path = write_lora(tmp_path / 'x.safetensors', tree, rank=4, alpha=4.0, config=CONFIG, kind='comfyui')
    assert_same(read_lora(load_file(path), CONFIG), pairs)


def test_kohya_needs_all_ten_modules(tmp_path):
    lora = read_lora(in_layout('comfyui', published(targets=tuple(NAMES)[:9])), CONFIG)
    with pytest.raises(UserError, match='all ten modules of a block, and this LoRA has no down'):
        write_lora(tmp_path / 'x.safetensors', lora.tree, rank=4, alpha=4.0, config=CONFIG, kind='kohya')
    assert not list(tmp_path.iterdir())


def test_a_path_that_is_no_file_is_refused(tmp_path):
    lora = read_lora(in_layout('comfyui', published()), CONFIG)
    with pytest.raises(UserError, match=r'a LoRA for comfyui is one file, .*\.safetensors'):
        write_lora(tmp_path, lora.tree, rank=4, alpha=4.0, config=CONFIG, kind='comfyui')


WRONG = {
    'kind': (dict(kind='onnx'), 'kind must be one of'), 'rank': (dict(rank=8), r'attention/q must be \(\(3, 24, 8\)'),
    'alpha': (dict(alpha=0.0), 'alpha must be positive'), 'dtype': (dict(dtype='float16'), 'dtype must be'),
    'tree': (dict(tree={'blocks': {'up': {'lora_a': ONE}}}), r'expected pairs .*blocks/up/lora_a'),
}


@pytest.mark.parametrize('case', WRONG)
def test_calls_that_do_not_fit_are_errors(tmp_path, case):
    changes, words = WRONG[case]
    lora = read_lora(in_layout('comfyui', published()), CONFIG)
    call = types.SimpleNamespace(**{**dict(tree=lora.tree, rank=4, alpha=4.0, kind='comfyui', config=CONFIG), **changes})
    with pytest.raises(ValueError, match=words):
        write_lora(tmp_path / 'x.safetensors', call.__dict__.pop('tree'), **vars(call))
