"""The transformer against diffusers' WanTransformer3DModel: same weights, same outputs, same gradients."""
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tqd_jax.models.io.diffusers import import_torch, load_arrays
from tqd_jax.models.wan.config import PRESETS, WanConfig
from tqd_jax.models.wan.model import abstract_params, apply

# the reference's own imports use what its dependencies have deprecated; nothing of ours is silenced
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings('ignore')]

SIZES = dict(layers=2, ffn_dim=72, text_dim=24, text_len=5, in_channels=4, freq_dim=32)
CASES = {  # config, (frames, height, width)
    'square': (WanConfig(heads=2, head_dim=16, out_channels=4, **SIZES), (4, 8, 8)),
    'oblong, odd frames, three heads': (WanConfig(heads=3, head_dim=20, out_channels=3, **SIZES), (7, 6, 14)),
    'one frame': (WanConfig(heads=2, head_dim=12, out_channels=4, **SIZES), (1, 10, 4)),
    'patches in time': (WanConfig(heads=1, head_dim=32, out_channels=2, patch=(3, 2, 4), **SIZES), (9, 4, 12)),
}


def reference(config):
    """diffusers' module of a config, all its weights moved away from where they start."""
    import torch
    from diffusers import WanTransformer3DModel

    torch.manual_seed(0)
    module = WanTransformer3DModel(
        patch_size=config.patch, num_attention_heads=config.heads, attention_head_dim=config.head_dim, in_channels=config.in_channels,
        out_channels=config.out_channels, text_dim=config.text_dim, freq_dim=config.freq_dim, ffn_dim=config.ffn_dim,
        num_layers=config.layers, eps=config.eps)
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return module


def arrays(module, *, grad=False):
    """The module's weights, or their gradients, by diffusers' names."""
    return {name: (weight.grad if grad else weight).detach().numpy() for name, weight in module.named_parameters()}


def inputs(config, video, batch=2):
    """(x, t, text) at random."""
    rng = np.random.default_rng(0)
    x, text = rng.normal(size=(batch, *video, config.in_channels)), rng.normal(size=(batch, config.text_len, config.text_dim))
    return x.astype('f'), rng.random(batch, 'f'), text.astype('f')


def run_reference(module, x, t, text):
    """The module's output, channels last; t [B] or [B, tokens]."""
    import torch

    x, t, text = map(torch.from_numpy, (x, t, text))
    return module(x.permute(0, 4, 1, 2, 3), 1000 * t, text, return_dict=False)[0].permute(0, 2, 3, 4, 1)


def relative(ours, theirs):
    return np.linalg.norm(np.asarray(ours) - theirs) / np.linalg.norm(theirs)


@pytest.mark.parametrize('case', CASES)
def test_outputs_and_all_gradients_agree(case):
    config, video = CASES[case]
    module, (x, t, text) = reference(config), inputs(config, video)
    theirs = run_reference(module, x, t, text)
    (theirs**2).mean().backward()
    predict, params = apply(config), import_torch(config, arrays(module))

    def loss(params):
        ours = predict(params, {}, x, t, text)
        return jnp.mean(jnp.square(ours)), ours

    grads, ours = jax.jit(jax.grad(loss, has_aux=True))(params)
    assert relative(ours, theirs.detach().numpy()) < 1e-5
    # a gradient goes through the same transposes and orders as its weight
    errors = jax.tree.map(relative, grads, import_torch(config, arrays(module, grad=True)))
    assert max(jax.tree.leaves(errors)) < 1e-4, errors


@pytest.mark.parametrize('case', ['square', 'oblong, odd frames, three heads'])
def test_a_time_for_every_token_agrees(case):
    config, video = CASES[case]
    module, (x, _, text) = reference(config), inputs(config, video)
    t = np.random.default_rng(1).random((2, math.prod(config.grid(*video))), 'f')
    t[:, :4] = 0  # as of a first frame that is given
    ours = jax.jit(apply(config))(import_torch(config, arrays(module)), {}, x, t, text)
    assert relative(ours, run_reference(module, x, t, text).detach().numpy()) < 1e-5


@pytest.mark.parametrize('preset', ['wan_1_3b', 'wan_14b'])
def test_presets_have_as_many_parameters_as_the_reference(preset):
    import torch

    with torch.device('meta'):
        theirs = sum(weight.numel() for weight in reference(PRESETS[preset]).parameters())
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(abstract_params(PRESETS[preset]))) == theirs


@pytest.mark.parametrize('kind', ['npz', 'safetensors', 'shards'])
def test_files_come_back_as_they_were_saved(tmp_path, kind):
    from safetensors.numpy import save_file

    config, _ = CASES['square']
    weights = arrays(reference(config))
    if kind == 'npz':
        np.savez(path := tmp_path / 'wan.npz', **weights)
    elif kind == 'safetensors':
        save_file(weights, path := tmp_path / 'wan.safetensors')
    else:
        path, names = tmp_path, sorted(weights)
        for number in range(2):
            save_file({name: weights[name] for name in names[number::2]}, tmp_path / f'wan-{number}.safetensors')
    jax.tree.map(np.testing.assert_array_equal, import_torch(config, load_arrays(path)), import_torch(config, weights))


def test_weights_of_another_model_are_refused(tmp_path):
    config, _ = CASES['square']
    weights = arrays(reference(config))
    with pytest.raises(ValueError, match=r"no array 'proj_out\.bias'"):
        import_torch(config, {name: array for name, array in weights.items() if name != 'proj_out.bias'})
    with pytest.raises(ValueError, match=r"1 arrays .* such as 'blocks\.9\.norm'"):
        import_torch(config, {**weights, 'blocks.9.norm': np.zeros(3)})
    with pytest.raises(ValueError, match=r'patch_out.kernel has shape \(32, 3\)'):
        import_torch(config, {**weights, 'proj_out.weight': np.zeros((3, 32))})
    with pytest.raises(ValueError, match=r'\.bin'):
        load_arrays(tmp_path / 'wan.bin')
    with pytest.raises(ValueError, match=str(tmp_path)):
        load_arrays(tmp_path)
