"""Linear model, MLP and convnet: closed forms, independent rows, seeds at once, gradients, errors."""
import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import correlate
from scipy.special import erf

from transfer_jax.experiment.models.build import ModelConfig, build
from transfer_jax.fisher import fisher_gram
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.keys import stream_key
from transfer_jax.runtime.tensors import named_leaves

CASES = {  # config, shape of an input
    'linear': (ModelConfig(kind='linear'), (5,)),
    'linear on images': (ModelConfig(kind='linear'), (4, 3, 2)),
    'mlp': (ModelConfig(kind='mlp', hidden=(7, 6)), (5,)),
    'mlp in bfloat16': (ModelConfig(kind='mlp', hidden=(7,), dtype='bfloat16'), (5,)),
    'head of an mlp': (ModelConfig(kind='mlp', hidden=(7,), trainable='head'), (5,)),
    'convnet': (ModelConfig(kind='convnet', hidden=(4, 5, 6)), (17, 10, 2)),
    'convnet in bfloat16': (ModelConfig(kind='convnet', hidden=(4, 5, 6), dtype='bfloat16'), (8, 8, 1)),
}
EVERY = pytest.mark.parametrize('case', CASES)


@functools.cache
def make_model(case):
    """(model of three outputs, compiled, trained away from where it starts, frozen, four inputs)."""
    config, shape = CASES[case]
    model = build(config, shape, 3)
    trained, frozen = model.init(stream_key(0, 'init'))
    model = dataclasses.replace(model, apply=jax.jit(model.apply), features=jax.jit(model.features))
    x = np.random.default_rng(0).normal(size=(4, *shape)).astype('f')
    return model, jax.tree.map(lambda p: np.asarray(p) + np.float32(0.1), trained), frozen, x


@EVERY
def test_every_leaf_and_output_is_float32(case):
    model, trained, frozen, x = make_model(case)
    y, features = model.apply(trained, frozen, x), model.features(trained, frozen, x)
    assert {leaf.dtype for leaf in jax.tree.leaves((trained, frozen, y, features))} == {jnp.dtype('float32')}
    assert y.shape == (4, 3) and features.ndim == 2 and np.isfinite(y).all()


@EVERY
def test_the_head_is_linear_in_the_features(case):
    model, trained, frozen, x = make_model(case)
    head = {**trained, **frozen}['head']
    reference = np.asarray(model.features(trained, frozen, x)) @ np.asarray(head['kernel']) + np.asarray(head['bias'])
    np.testing.assert_allclose(model.apply(trained, frozen, x), reference, rtol=1e-5, atol=1e-5)


@EVERY
def test_no_row_has_a_say_in_another(case):
    model, trained, frozen, x = make_model(case)
    variant = np.where(np.arange(4).reshape(4, *[1] * (x.ndim - 1)) == 2, -3 * x, x)
    y, other = (np.asarray(model.apply(trained, frozen, inputs)) for inputs in (x, variant))
    np.testing.assert_array_equal(np.delete(y, 2, 0), np.delete(other, 2, 0))
    assert np.abs(y[2] - other[2]).max() > 1e-3


@pytest.mark.parametrize('case', ['linear', 'mlp', 'convnet', 'head of an mlp'])
def test_many_seeds_at_once_are_the_seeds_one_by_one(case):
    model, _, _, x = make_model(case)
    keys = jax.vmap(lambda s: stream_key(s, 'init'))(jnp.arange(3))
    many = jax.jit(jax.vmap(model.init))(keys)
    one = model.init(keys[2])
    for name, leaf in named_leaves(one).items():
        np.testing.assert_array_equal(named_leaves(many)[name][2], leaf)
    outputs = jax.jit(jax.vmap(model.apply, (0, 0, None)))(*many, x)
    np.testing.assert_allclose(outputs[2], model.apply(*one, x), rtol=1e-5, atol=1e-5)


@EVERY
def test_every_trained_leaf_gets_a_gradient(case):
    model, trained, frozen, x = make_model(case)
    grads = jax.jit(jax.grad(lambda p: jnp.sum(jnp.square(model.apply(p, frozen, x)))))(trained)
    assert min(np.abs(g).max() for g in jax.tree.leaves(grads)) > 0


def test_the_head_alone_is_trained_if_trainable_is_head():
    _, trained, frozen, _ = make_model('head of an mlp')
    assert trained.keys() == {'head'} and frozen.keys() == {'layers'}


def test_a_linear_model_starts_at_zero_and_is_softmax_regression():
    model, trained, frozen, x = make_model('linear')
    start, _ = model.init(stream_key(1, 'init'))
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(start)) and frozen == {}
    np.testing.assert_array_equal(model.features(trained, frozen, x), x)
    labels = np.array([0, 2, 1, 1])
    grad = jax.jit(jax.grad(lambda p: -jnp.sum(np.eye(3, dtype='f')[labels] * jax.nn.log_softmax(model.apply(p, frozen, x)))))(trained)
    p = np.exp(np.asarray(model.apply(trained, frozen, x)))
    reference = np.asarray(x).T @ (p / p.sum(1, keepdims=True) - np.eye(3)[labels])  # the score of softmax regression
    np.testing.assert_allclose(grad['head']['kernel'], reference, rtol=1e-5, atol=1e-5)


def test_an_mlp_is_its_formula():
    model, trained, frozen, x = make_model('mlp')
    y = np.asarray(x)
    for layer in (trained['layers'][0], trained['layers'][1]):
        y = y @ np.asarray(layer['kernel']) + np.asarray(layer['bias'])
        y = y / 2 * (1 + erf(y / np.sqrt(2)))
    np.testing.assert_allclose(model.features(trained, frozen, x), y, rtol=1e-5, atol=1e-5)


def test_a_convnet_is_its_formula():
    model, trained, frozen, x = make_model('convnet')
    y = x
    for i in range(3):
        y = scipy_convolution(y, **trained['layers'][i])
        b, h, w, c = y.shape
        y = np.maximum(y[:, :h // 2 * 2, :w // 2 * 2].reshape(b, h // 2, 2, w // 2, 2, c).max((2, 4)), 0)
    np.testing.assert_allclose(model.features(trained, frozen, x), y.reshape(4, -1), rtol=1e-4, atol=1e-4)


def scipy_convolution(x, kernel, bias):
    """Images [B, H, W, C] correlated with a kernel [3, 3, C, O], zeros around."""
    pairs = itertools.product(range(kernel.shape[2]), range(kernel.shape[3]))
    y = np.zeros((*x.shape[:3], kernel.shape[3])) + bias
    for c, o in pairs:
        y[..., o] += correlate(x[..., c], kernel[None, :, :, c, o], mode='constant')
    return y


def test_parameter_counts():
    def count(case):
        return sum(leaf.size for leaf in jax.tree.leaves(make_model(case)[1]))

    assert count('mlp') == 5 * 7 + 7 + 7 * 6 + 6 + 6 * 3 + 3
    assert count('convnet') == sum(9 * i * o + o for i, o in itertools.pairwise((2, 4, 5, 6))) + 2 * 1 * 6 * 3 + 3


@pytest.mark.parametrize('case', ['mlp', 'convnet', 'head of an mlp'])
def test_fisher_products_go_through(case):
    model, trained, frozen, x = make_model(case)
    deltas = jax.tree.map(lambda p: np.stack([p, -2 * p]), trained)
    gram = fisher_gram(lambda p, x: model.apply(p, frozen, x[None])[0], trained, deltas, x)
    gram = np.asarray(gram)
    np.testing.assert_allclose(gram, gram[0, 0] * np.array([[1, -2], [-2, 4]]), rtol=1e-4)
    assert gram[0, 0] > 0


@pytest.mark.parametrize('changes, message', [
    ({'kind': 'forest'}, r"model.kind is 'forest'; choose one of linear, mlp"),
    ({'trainable': 'none'}, "model.trainable is 'none'"),
    ({'dtype': 'float16'}, "model.dtype is 'float16'"),
    ({'kind': 'linear', 'hidden': (3,)}, r"model.hidden is \(3,\); kind 'linear' wants \(\)"),
    ({'hidden': ()}, "kind 'mlp' wants one width or more"),
    ({'hidden': (8, 0)}, r'model.hidden is \(8, 0\)'),
    ({'hidden': (8, 2.5)}, r'model.hidden is \(8, 2.5\)'),
    ({'kind': 'convnet', 'hidden': (8, 8)}, 'three numbers of channels'),
    ({'kind': 'linear', 'hidden': (), 'dtype': 'bfloat16'}, 'model.dtype is bfloat16'),
])
def test_a_config_that_cannot_be_is_one_line(changes, message):
    with pytest.raises(UserError, match=message):
        ModelConfig(**{'kind': 'mlp', 'hidden': (4,), **changes})


@pytest.mark.parametrize('case, shape, outputs, message', [
    ('mlp', (5,), 0, 'a model of 0 outputs'),
    ('mlp', (5, 5), 3, r'inputs have shape \(5, 5\)'),
    ('mlp', (0,), 3, r'inputs have shape \(0,\)'),
    ('convnet', (64,), 3, "model.kind 'convnet' wants images"),
    ('convnet', (16, 6, 1), 3, 'needs 8 x 8 pixels, not 16 x 6'),
])
def test_a_conflict_is_one_line(case, shape, outputs, message):
    with pytest.raises(UserError, match=message):
        build(CASES[case][0], shape, outputs)
