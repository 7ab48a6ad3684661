"""ResNets and vision transformers against transformers': same weights through a file, same outputs, same gradients."""
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from state_dicts import saved, timm_vit, timm_vit_of, torchvision_resnet_of, torchvision_vit

from transfer_jax.experiment.models.build import ModelConfig, build
from transfer_jax.experiment.models.model import model_of, shapes
from transfer_jax.experiment.models.pretrained import load
from transfer_jax.experiment.models.vit import ViT, ViTSizes
from transfer_jax.runtime.keys import stream_key

# the reference's own imports use what its dependencies have deprecated; nothing of ours is silenced
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings('ignore')]
RESNETS = {'resnet18': dict(layer_type='basic', depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512]),
           'resnet50': dict(layer_type='bottleneck', depths=[3, 4, 6, 3], hidden_sizes=[256, 512, 1024, 2048])}


def state_of(module):
    return {name: tensor.numpy() for name, tensor in module.state_dict().items()}


def resnet(kind, outputs):
    """transformers' ResNet, its statistics moved towards those of a batch; its layout in torchvision's names; both ends by our names."""
    torch, transformers = pytest.importorskip('torch'), pytest.importorskip('transformers')
    torch.manual_seed(0)
    module = transformers.ResNetForImageClassification(transformers.ResNetConfig(num_labels=outputs, **RESNETS[kind])).train()
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.02 * torch.randn_like(weight))
        module(torch.randn(8, 3, 32, 32))
    module.eval()
    ends = {'conv1': module.resnet.embedder.embedder.convolution, 'head': module.classifier[1]}
    return module, torchvision_resnet_of(state_of(module)), ends


def vit(outputs, size, eps, **sizes):
    """The same of transformers' ViT, in timm's layout, all its weights moved away from where they start."""
    torch, transformers = pytest.importorskip('torch'), pytest.importorskip('transformers')
    torch.manual_seed(0)
    config = transformers.ViTConfig(num_labels=outputs, image_size=size, layer_norm_eps=eps, **sizes)
    module = transformers.ViTForImageClassification(config).eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.02 * torch.randn_like(weight))
    ends = {'patch_embed': module.vit.embeddings.patch_embeddings.projection, 'head': module.classifier}
    return module, timm_vit_of(state_of(module)), ends


def relative(ours, theirs):
    return np.linalg.norm(np.asarray(ours) - theirs) / np.linalg.norm(theirs)


def assert_same(model, module, ends, shape):
    """Outputs agree on every input; gradients of mean(outputs^2) at both ends on one of three.

    A gradient jumps where rounding turns a ReLU or a maximum the other way, which one input in many meets; a wrong layout shows in all.
    """
    inputs = [np.random.default_rng(seed).normal(size=(2, *shape)).astype('f') for seed in range(3)]
    apart = [compare(model, module, ends, x) for x in inputs]
    assert max(outputs for outputs, _ in apart) < 1e-5
    for name in ends:
        assert min(gradients[name] for _, gradients in apart) < 1e-4, (name, apart)


def compare(model, module, ends, x):
    """(relative distance of the outputs, {end: that of its gradient}) on inputs x."""
    import torch

    module.zero_grad()
    theirs = module(torch.from_numpy(x).permute(0, 3, 1, 2)).logits
    theirs.square().mean().backward()
    trained, frozen = model.init(stream_key(0, 'init'))

    def loss(trained):
        outputs = model.apply(trained, frozen, x)
        return jnp.mean(jnp.square(outputs)), outputs

    grads, ours = jax.jit(jax.grad(loss, has_aux=True))(trained)
    reference = {name: layer.weight.grad.numpy() for name, layer in ends.items()}
    nhwc = lambda grad: grad.T if grad.ndim == 2 else grad.transpose(2, 3, 1, 0)
    gradients = {name: relative(grads[name]['kernel'], nhwc(grad)) for name, grad in reference.items()}
    return relative(ours, theirs.detach().numpy()), gradients


@pytest.mark.parametrize('kind, suffix', [('resnet18', 'npz'), ('resnet50', 'safetensors')])
def test_resnets_agree(kind, suffix, tmp_path):
    module, state, ends = resnet(kind, 10)
    model = build(ModelConfig(kind=kind, weights=saved(state, tmp_path / f'weights.{suffix}')), (32, 32, 3), 10)
    assert model.notes == ()
    assert_same(model, module, ends, (32, 32, 3))


def test_vit_s16_agrees(tmp_path):
    sizes = dict(hidden_size=384, intermediate_size=1536, num_hidden_layers=12, num_attention_heads=6)
    module, state, ends = vit(10, 32, 1e-6, **sizes)
    model = build(ModelConfig(kind='vit_s16', weights=saved(state, tmp_path / 'weights.safetensors')), (32, 32, 3), 10)
    assert model.notes == ()
    assert_same(model, module, ends, (32, 32, 3))


def test_a_narrow_oblong_vit_agrees_with_another_eps_through_the_other_layout(tmp_path):
    module, state, ends = vit(5, (48, 32), 1e-12, hidden_size=24, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4)
    make = functools.partial(ViT, ViTSizes(dim=24, depth=3, heads=4, eps=1e-12), (48, 32, 3), 5, dtype='float32')
    arrays, notes = load(saved(torchvision_vit(state), tmp_path / 'weights.npz'), shapes(make), (3, 2))
    assert notes == ()
    assert_same(model_of(make, arrays=arrays), module, ends, (48, 32, 3))


@pytest.mark.parametrize('grid', [(2, 3), (5, 7), (4, 9), (8, 2)])
def test_positions_are_interpolated_as_torch_does_it(grid, tmp_path):
    torch = pytest.importorskip('torch')
    state = timm_vit(patches=36)
    old = torch.from_numpy(state['pos_embed'][:, 1:]).reshape(1, 6, 6, 12).permute(0, 3, 1, 2)
    new = torch.nn.functional.interpolate(old, size=grid, mode='bicubic', antialias=True).permute(0, 2, 3, 1).reshape(1, -1, 12)
    make = functools.partial(ViT, ViTSizes(dim=12, depth=2, heads=3), (16 * grid[0], 16 * grid[1], 3), 5, dtype='float32')
    arrays, notes = load(saved(state, tmp_path / 'w.npz'), shapes(make), grid)
    np.testing.assert_allclose(arrays['pos_embed',][:, 1:], new, atol=1e-6)
    np.testing.assert_array_equal(arrays['pos_embed',][:, :1], state['pos_embed'][:, :1])
    assert len(notes) == 1 and f'from 6 x 6 patches to {grid[0]} x {grid[1]}' in notes[0]
