"""ResNets, vision transformers and LoRA without a reference: counts, independent rows, gradients, the identities of LoRA."""
import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from transfer_jax.experiment.models.build import ModelConfig, build
from transfer_jax.experiment.models.lora import low_rank, merge
from transfer_jax.experiment.models.model import model_of
from transfer_jax.experiment.models.resnet import ResNet, ResNetSizes
from transfer_jax.experiment.models.vit import ViT, ViTSizes
from transfer_jax.fisher import fisher_gram
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.keys import stream_key
from transfer_jax.runtime.tensors import named_leaves

NARROW = {'resnet': ResNetSizes(depths=(1, 1), bottleneck=True, width=32),
          'basic resnet': ResNetSizes(depths=(1, 1), bottleneck=False, width=32),
          'vit': ViTSizes(dim=12, depth=2, heads=3)}
SHAPE, OUTPUTS = (32, 16, 3), 5


@functools.cache
def make_model(kind, trainable='all', dtype='float32', norm='batch'):
    """(model, compiled, trained moved away from where it starts, frozen, four inputs)."""
    if kind == 'vit':
        make = functools.partial(ViT, NARROW[kind], SHAPE, OUTPUTS, dtype=dtype)
    else:
        make = functools.partial(ResNet, NARROW[kind], SHAPE[2], OUTPUTS, norm=norm, dtype=dtype)
    model = model_of(make, trainable='head' if trainable == 'lora' else trainable)
    model = low_rank(model, rank=2, alpha=3.0) if trainable == 'lora' else model
    trained, frozen = model.init(stream_key(0, 'init'))
    rng = np.random.default_rng(0)
    model = dataclasses.replace(model, apply=jax.jit(model.apply), features=jax.jit(model.features))
    shift = jax.tree.map(lambda p: np.asarray(p) + 0.1 * rng.normal(size=p.shape).astype('f'), trained)
    return model, shift, frozen, rng.normal(size=(4, *SHAPE)).astype('f')


CASES = pytest.mark.parametrize('case', [('resnet',), ('resnet', 'all', 'float32', 'group'), ('basic resnet', 'lora'),
                                         ('vit', 'all', 'bfloat16'), ('vit', 'lora')], ids=' '.join)


@pytest.mark.parametrize('kind, count', [
    ('resnet18', 11_689_512), ('resnet50', 25_557_032), ('vit_s16', 22_050_664), ('vit_b16', 86_567_656)])
def test_parameters_are_as_many_as_published(kind, count):
    trained, frozen = jax.eval_shape(build(ModelConfig(kind=kind), (224, 224, 3), 1000).init, stream_key(0, 'init'))
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(trained)) == count and frozen == {}


@CASES
def test_outputs_and_leaves_are_float32_and_rows_independent(case):
    model, trained, frozen, x = make_model(*case)
    variant = np.where(np.arange(4)[:, None, None, None] == 2, 5 - 3 * x, x)
    y, other = (np.asarray(model.apply(trained, frozen, inputs)) for inputs in (x, variant))
    assert {leaf.dtype for leaf in jax.tree.leaves((trained, frozen, y))} == {np.dtype('float32')} and y.shape == (4, OUTPUTS)
    np.testing.assert_array_equal(np.delete(y, 2, 0), np.delete(other, 2, 0))
    assert np.abs(y[2] - other[2]).max() > 1e-3


@CASES
def test_every_trained_leaf_gets_a_gradient(case):
    model, trained, frozen, x = make_model(*case)
    grads = jax.jit(jax.grad(lambda p: jnp.sum(jnp.square(model.apply(p, frozen, x)))))(trained)
    assert [name for name, g in named_leaves(grads).items() if not np.abs(g).max() > 0] == []


def test_statistics_are_frozen():
    _, trained, frozen, _ = make_model('resnet')
    assert {path[-1] for path in flatten_dict(frozen)} == {'mean', 'var'}
    assert {path[-1] for path in flatten_dict(trained)} == {'kernel', 'scale', 'bias'}


def test_bfloat16_products_stay_near_float32():
    _, trained, frozen, x = make_model('vit')
    y, rough = (np.asarray(make_model('vit', 'all', dtype)[0].apply(trained, frozen, x)) for dtype in ('float32', 'bfloat16'))
    assert 0 < np.linalg.norm(y - rough) / np.linalg.norm(y) < 2e-2


def test_many_seeds_at_once_are_the_seeds_one_by_one():
    model, _, _, x = make_model('vit', 'lora')
    keys = jax.vmap(lambda s: stream_key(s, 'init'))(jnp.arange(3))
    many, one = jax.jit(jax.vmap(model.init))(keys), model.init(keys[2])
    for name, leaf in named_leaves(one).items():
        np.testing.assert_allclose(named_leaves(many)[name][2], leaf, rtol=1e-6)
    outputs = jax.jit(jax.vmap(model.apply, (0, 0, None)))(*many, x)
    np.testing.assert_allclose(outputs[2], model.apply(*one, x), rtol=1e-4, atol=1e-4)


def test_a_head_alone_is_trained_and_the_trunk_may_be_shared_by_many_keys():
    arrays = {path: np.asarray(x) for path, x in flatten_dict(make_model('vit')[1]).items() if path[0] != 'head'}
    model = model_of(functools.partial(ViT, NARROW['vit'], SHAPE, OUTPUTS, dtype='float32'), trainable='head', arrays=arrays)
    keys = jax.vmap(lambda s: stream_key(s, 'init'))(jnp.arange(3))
    trained, frozen = jax.vmap(model.init, out_axes=(0, None))(keys)
    assert trained.keys() == {'head'} and trained['head']['kernel'].shape == (3, 12, OUTPUTS)
    assert np.ptp(trained['head']['kernel'], axis=0).min() > 0
    np.testing.assert_array_equal(frozen['blocks']['attn']['qkv']['kernel'], arrays['blocks', 'attn', 'qkv', 'kernel'])


def test_a_start_has_the_spread_that_its_layers_ask_for():
    trained, _ = build(ModelConfig(kind='vit_s16'), (32, 32, 3), 50).init(stream_key(0, 'init'))
    for kernel, reference in ((trained['blocks']['mlp']['fc1']['kernel'], 0.02), (trained['head']['kernel'], 384**-0.5)):
        assert abs(np.std(kernel) / reference - 1) < 0.03 and abs(np.mean(kernel)) < 0.03 * reference
    assert np.unique(trained['blocks']['attn']['qkv']['kernel'][:, 0, 0]).size == 12


@pytest.mark.parametrize('kind', ['resnet', 'vit'])
def test_fresh_lora_is_the_base_and_merged_lora_is_itself(kind):
    model, trained, frozen, x = make_model(kind, 'lora')
    base = make_model(kind, 'head')[0]
    fresh, _ = model.init(stream_key(0, 'init'))
    np.testing.assert_array_equal(model.apply(fresh, frozen, x), base.apply({'head': fresh['head']}, frozen, x))
    whole = base.apply({'head': trained['head']}, merge(frozen, trained['lora'], 3.0 / 2), x)
    np.testing.assert_allclose(model.apply(trained, frozen, x), whole, rtol=1e-4, atol=1e-4)
    assert np.abs(whole - base.apply({'head': trained['head']}, frozen, x)).max() > 1e-3


def test_lora_changes_the_matrices_by_its_formula_and_nothing_else():
    _, trained, frozen, _ = make_model('vit', 'lora')
    lora, before, after = (flatten_dict(tree) for tree in (trained['lora'], frozen, merge(frozen, trained['lora'], 3.0 / 2)))
    variant = {path[:-1] for path in lora}
    assert variant == {('blocks', *part, 'kernel') for part in (('attn', 'qkv'), ('attn', 'proj'), ('mlp', 'fc1'), ('mlp', 'fc2'))}
    for path, w in before.items():
        if path in variant:
            w = w + 1.5 * np.einsum('lir,lro->lio', lora[*path, 'a'], lora[*path, 'b'])
        np.testing.assert_allclose(after[path], w, rtol=1e-5, atol=1e-5)
    fresh = flatten_dict(make_model('vit', 'lora')[0].init(stream_key(1, 'init'))[0]['lora'])
    assert all(np.any(leaf) == (path[-1] == 'a') for path, leaf in fresh.items())


def test_lora_of_a_resnet_is_of_its_1x1_convolutions():
    lora = flatten_dict(make_model('resnet', 'lora')[1]['lora'])
    assert {path[-3] for path in lora} == {'conv1', 'conv3', 0} and not any(path[:1] == ('conv1',) for path in lora)


@pytest.mark.parametrize('case', [('resnet', 'all', 'float32', 'group'), ('vit', 'lora')], ids=' '.join)
def test_fisher_products_go_through(case):
    model, trained, frozen, x = make_model(*case)
    deltas = jax.tree.map(lambda p: np.stack([p, -2 * p]), trained)
    gram = np.asarray(fisher_gram(lambda p, x: model.apply(p, frozen, x[None])[0], trained, deltas, x))
    np.testing.assert_allclose(gram, gram[0, 0] * np.array([[1, -2], [-2, 4]]), rtol=1e-4)
    assert gram[0, 0] > 0


@pytest.mark.parametrize('changes, message', [
    ({'lora_rank': 0}, 'model.lora_rank is 0'),
    ({'lora_rank': 2.0}, 'model.lora_rank is 2.0'),
    ({'lora_alpha': -1.0}, 'model.lora_alpha -1.0'),
    ({'hidden': (8,)}, r'model.hidden is \(8,\)'),
    ({'kind': 'linear', 'trainable': 'lora'}, "kind 'linear' has no matrix beside its head"),
    ({'kind': 'mlp', 'hidden': (8,), 'weights': 'w.npz'}, "model.weights is 'w.npz', but there are none for kind 'mlp'"),
])
def test_a_config_that_cannot_be_is_one_line(changes, message):
    with pytest.raises(UserError, match=message):
        ModelConfig(**{'kind': 'vit_s16', **changes})


@pytest.mark.parametrize('kind, shape, message', [
    ('vit_s16', (32, 40, 3), 'patches of 16 x 16 pixels; 32 x 40'),
    ('vit_b16', (64,), 'wants images'),
    ('resnet18', (64,), "model.kind 'resnet18' wants images"),
])
def test_a_conflict_is_one_line(kind, shape, message):
    with pytest.raises(UserError, match=message):
        build(ModelConfig(kind=kind), shape, 3)
