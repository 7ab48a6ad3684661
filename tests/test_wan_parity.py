"""The transformer against diffusers' WanTransformer3DModel: random weights copied across, outputs and gradients compared."""
import jax
import numpy as np
import pytest

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings('ignore')]  # the other side's warnings are its own

CONFIG = dict(layers=2, heads=3, head_dim=20, ffn_dim=70, text_dim=24, text_len=5, in_channels=4, out_channels=3, freq_dim=32)
SHAPES = {(1, 2, 2): [(3, 8, 6), (1, 4, 10)], (2, 4, 2): [(4, 8, 6), (2, 12, 4)]}


def theirs(torch, patch):
    from diffusers import WanTransformer3DModel
    torch.manual_seed(0)
    model = WanTransformer3DModel(
        patch_size=patch, num_attention_heads=CONFIG['heads'], attention_head_dim=CONFIG['head_dim'], in_channels=CONFIG['in_channels'],
        out_channels=CONFIG['out_channels'], text_dim=CONFIG['text_dim'], freq_dim=CONFIG['freq_dim'], ffn_dim=CONFIG['ffn_dim'],
        num_layers=CONFIG['layers'], cross_attn_norm=True, qk_norm='rms_norm_across_heads', eps=1e-6)
    with torch.no_grad():
        for parameter in model.parameters():  # zero biases and unit norms would hide a swap
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def distance(ours, other):
    """Relative distance in the 2-norm."""
    return float(np.linalg.norm(np.asarray(ours) - np.asarray(other)) / np.linalg.norm(other))


@pytest.mark.parametrize(('patch', 'shape'), [(patch, shape) for patch, shapes in SHAPES.items() for shape in shapes])
def test_outputs_and_gradients_agree(patch, shape):
    torch = pytest.importorskip('torch', reason='make parity installs it')
    from tqd_jax.models.import_torch import import_torch
    from tqd_jax.models.wan import WanConfig, apply
    config, model, rng = WanConfig(**CONFIG, patch=patch), theirs(torch, patch), np.random.default_rng(0)
    x = rng.standard_normal((2, *shape, CONFIG['in_channels'])).astype(np.float32)
    t, text = np.array([0.3, 0.87], np.float32), rng.standard_normal((2, CONFIG['text_len'], CONFIG['text_dim'])).astype(np.float32)
    expected = model(torch.tensor(x).permute(0, 4, 1, 2, 3), torch.tensor(t) * 1000, torch.tensor(text)).sample.permute(0, 2, 3, 4, 1)
    (expected**2).mean().backward()
    params = import_torch(config, {name: array.numpy() for name, array in model.state_dict().items()})
    model_fn = apply(config)
    assert distance(model_fn(params, x, t, text), expected.detach().numpy()) < 1e-5
    grads = jax.grad(lambda p: (model_fn(p, x, t, text) ** 2).mean())(jax.tree.map(jax.numpy.asarray, params))
    their_grads = import_torch(config, {name: parameter.grad.numpy() for name, parameter in model.named_parameters()})
    assert max(jax.tree.leaves(jax.tree.map(distance, grads, their_grads))) < 1e-4


def test_the_presets_are_the_public_models():
    torch = pytest.importorskip('torch', reason='make parity installs it')
    from diffusers import WanTransformer3DModel

    from tqd_jax.models.wan import PRESETS, abstract_params
    for name, heads, layers, ffn in (('wan_1_3b', 12, 30, 8960), ('wan_14b', 40, 40, 13824)):
        with torch.device('meta'):
            model = WanTransformer3DModel(num_attention_heads=heads, attention_head_dim=128, num_layers=layers, ffn_dim=ffn)
        ours = sum(leaf.size for leaf in jax.tree.leaves(abstract_params(PRESETS[name])))
        assert ours == sum(parameter.numel() for parameter in model.parameters())
