"""The transformer against diffusers' WanTransformer3DModel: same weights, same outputs, same gradients."""
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tqd_jax.models.io.wan import load_params
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
    predict, params = apply(config), load_params(arrays(module), config, abstract_params(config))

    def loss(params):
        ours = predict(params, {}, x, t, text)
        return jnp.mean(jnp.square(ours)), ours

    grads, ours = jax.jit(jax.grad(loss, has_aux=True))(params)
    assert relative(ours, theirs.detach().numpy()) < 1e-5
    # a gradient goes through the same transposes and orders as its weight
    errors = jax.tree.map(relative, grads, load_params(arrays(module, grad=True), config, abstract_params(config)))
    assert max(jax.tree.leaves(errors)) < 1e-4, errors


@pytest.mark.parametrize('case', ['square', 'oblong, odd frames, three heads'])
def test_a_time_for_every_token_agrees(case):
    config, video = CASES[case]
    module, (x, _, text) = reference(config), inputs(config, video)
    t = np.random.default_rng(1).random((2, math.prod(config.grid(*video))), 'f')
    t[:, :4] = 0  # as of a first frame that is given
    ours = jax.jit(apply(config))(load_params(arrays(module), config, abstract_params(config)), {}, x, t, text)
    assert relative(ours, run_reference(module, x, t, text).detach().numpy()) < 1e-5


@pytest.mark.parametrize('preset', ['wan_1_3b', 'wan_14b'])
def test_presets_have_as_many_parameters_as_the_reference(preset):
    import torch

    with torch.device('meta'):
        theirs = sum(weight.numel() for weight in reference(PRESETS[preset]).parameters())
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(abstract_params(PRESETS[preset]))) == theirs
