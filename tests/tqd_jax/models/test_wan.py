"""The transformer by what must hold of it: symmetries, counts, and one result however it is executed."""
import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tqd_jax.models.partition import merge, partition, selects
from tqd_jax.models.wan.attention import attend
from tqd_jax.models.wan.config import PRESETS, WanConfig, flops_per_example, training_flops_per_example
from tqd_jax.models.wan.model import Wan, abstract_params, apply, init_params, patchify, time_features, unpatchify
from tqd_jax.models.wan.rope import axis_dims, half_from_interleaved, rotary_angles, rotate

CONFIG = WanConfig(layers=2, heads=2, head_dim=16, ffn_dim=48, freq_dim=16, text_dim=12, text_len=4, in_channels=3, out_channels=2,
                   patch=(2, 2, 4))
KEYS = jax.random.split(jax.random.key(0), 8)


init = jax.jit(init_params, static_argnums=0)


def whole(config):
    """The config's pure function with all its parameters trained."""
    predict = apply(config)
    return lambda params, *inputs: predict(params, {}, *inputs)


@functools.cache
def compiled(config):
    """The config's pure function, compiled once for all tests."""
    return jax.jit(whole(config))


def size(tree):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def relative(a, b):
    return float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b))


@pytest.fixture(scope='module')
def inputs():
    """(x, t, text) of three videos of 4 frames, 6 x 8."""
    return jax.random.normal(KEYS[0], (3, 4, 6, 8, 3)), jnp.array([0.0, 0.3, 1.0]), jax.random.normal(KEYS[1], (3, 4, 12))


@pytest.fixture(scope='module')
def params():
    """Weights away from the zero start."""
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: leaf + 0.1 * rng.standard_normal(leaf.shape, np.float32), init(CONFIG, KEYS[2]))


@functools.cache
def grad_of(config):
    """The compiled gradient of a distance to one."""
    predict = whole(config)
    return jax.jit(jax.grad(lambda params, *inputs: jnp.mean(jnp.square(predict(params, *inputs) - 1))))


def gradients(config, params, inputs):
    """Gradients of a scalar of the output with respect to all weights."""
    return grad_of(config)(params, *inputs)


def test_the_first_prediction_is_zero_and_the_last_layer_learns(inputs):
    params = init(CONFIG, KEYS[4])
    out = compiled(CONFIG)(params, *inputs)
    assert out.shape == (3, 4, 6, 8, 2) and out.dtype == jnp.float32
    np.testing.assert_array_equal(out, 0)
    assert jnp.linalg.norm(gradients(CONFIG, params, inputs)['patch_out']['kernel']) > 0


# diffusers' WanTransformer3DModel, built on the meta device from the public configs, has these numbers of parameters
@pytest.mark.parametrize(('name', 'count'), [('wan_1_3b', 1_418_996_800), ('wan_14b', 14_288_491_584)])
def test_the_public_presets_have_the_public_sizes_and_start_abstractly(name, count):
    assert size(abstract_params(PRESETS[name])) == count


def test_the_small_presets_are_small():
    assert 1e6 < size(abstract_params(PRESETS['tiny'])) < 1.5e6
    assert 2e7 < size(abstract_params(PRESETS['medium'])) < 3e7


def test_the_parameters_are_a_plain_nested_dict_in_float32():
    config = dataclasses.replace(CONFIG, dtype='bfloat16', vocab=7)
    params = init(config, KEYS[0])
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        assert all(isinstance(part, jax.tree_util.DictKey) and isinstance(part.key, str) for part in path)
        assert leaf.dtype == jnp.float32
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, abstract_params(config))
    assert all(leaf.shape[0] == config.layers for leaf in jax.tree.leaves(params['blocks']))


def test_the_module_and_the_pure_function_agree(inputs):
    graphdef, state = nnx.split(nnx.eval_shape(lambda: Wan(CONFIG, rngs=nnx.Rngs(params=0))), nnx.Param)
    state = jax.tree.map(lambda leaf: 0.3 * jax.random.normal(KEYS[5], leaf.shape), state)
    out = jax.jit(lambda state, *inputs: nnx.merge(graphdef, state)(*inputs))(state, *inputs)
    np.testing.assert_allclose(out, compiled(CONFIG)(nnx.to_pure_dict(state), *inputs), rtol=1e-6, atol=1e-6)


def test_rotation_keeps_lengths_and_scores_depend_on_differences_of_position_alone():
    grid, width = (5, 6, 7), 20
    angles = rotary_angles(grid, width)[None, :, None]
    q, k = jax.random.normal(KEYS[0], (2, 1, 1, 1, width))
    q, k = (rotate(jnp.broadcast_to(x, (1, math.prod(grid), 1, width)), jnp.cos(angles), jnp.sin(angles))[0, :, 0] for x in (q, k))
    np.testing.assert_allclose(jnp.linalg.norm(q, axis=1), jnp.linalg.norm(q[0]), rtol=1e-5)
    scores = (q @ k.T).reshape(*grid, *grid)
    for shift in [(2, 0, 0), (0, 3, 0), (0, 0, 4), (1, 2, 3)]:
        moved = scores[tuple(slice(s, None) for s in (*shift, *shift))]
        still = scores[tuple(slice(None, n - s) for n, s in zip((*grid, *grid), (*shift, *shift), strict=True))]
        np.testing.assert_allclose(moved, still, atol=1e-4)
    assert jnp.std(scores[0, 0, 0]) > 0.1


def test_the_axes_share_a_head_as_in_wan_and_turn_at_the_rates_of_rope():
    assert axis_dims(128) == (44, 42, 42) and axis_dims(32) == (12, 10, 10)
    angles = rotary_angles((3, 4, 5), 32).reshape(3, 4, 5, 16)
    np.testing.assert_allclose(angles[2, 3, 4, :6], 2 * 10000.0 ** (-np.arange(6) / 6), rtol=1e-5)
    np.testing.assert_allclose(angles[2, 3, 4, 6:11], 3 * 10000.0 ** (-np.arange(5) / 5), rtol=1e-5)
    np.testing.assert_allclose(angles[2, 3, 4, 11:], 4 * 10000.0 ** (-np.arange(5) / 5), rtol=1e-5)


def test_rotating_halves_is_multiplying_interleaved_complex_numbers():
    x, angles = np.random.default_rng(0).normal(size=(1, 3, 2, 8)), np.arange(12.0).reshape(1, 3, 1, 4)
    turned = np.exp(1j * angles) * (x[..., 0::2] + 1j * x[..., 1::2])
    ours = rotate(jnp.float32(x[..., half_from_interleaved(8)]), jnp.float32(np.cos(angles)), jnp.float32(np.sin(angles)))
    np.testing.assert_allclose(ours, np.concatenate([turned.real, turned.imag], -1), atol=1e-5)


def test_patches_are_cut_and_put_back():
    x = jax.random.normal(KEYS[0], (2, 4, 6, 8, 3))
    tokens = patchify(x, (2, 3, 4))
    np.testing.assert_array_equal(tokens[1, 3].reshape(2, 3, 4, 3), x[1, :2, 3:, 4:])
    np.testing.assert_array_equal(unpatchify(tokens, (2, 2, 2), (2, 3, 4)), x)


def test_time_features_are_cosines_and_sines_of_a_thousand_t():
    features = time_features(jnp.array([0.0, 0.25]), 6)
    rates = 250 * np.array([1, 10000 ** (-1 / 3), 10000 ** (-2 / 3)])
    np.testing.assert_allclose(features[0], [1, 1, 1, 0, 0, 0])
    np.testing.assert_allclose(features[1], np.concatenate([np.cos(rates), np.sin(rates)]), atol=1e-4)


def test_examples_do_not_see_each_other_and_text_order_does_not_matter(params, inputs):
    predict, (x, t, text) = compiled(CONFIG), inputs
    out = predict(params, x, t, text)
    np.testing.assert_allclose(predict(params, x[::-1], t[::-1], text[::-1])[::-1], out, atol=1e-5)
    np.testing.assert_allclose(predict(params, x, t, text[:, ::-1]), out, atol=1e-5)  # text has no positions: its features carry them
    for name, other in {'x': (x + 1, t, text), 't': (x, t + 0.1, text), 'text': (x, t, text + 1)}.items():
        assert relative(predict(params, *other), out) > 1e-3, name


def test_one_time_for_every_token_is_one_for_the_video(params, inputs):
    x, t, text = inputs
    tokens = math.prod(CONFIG.grid(*x.shape[1:4]))
    spread = jnp.broadcast_to(t[:, None], (3, tokens))
    np.testing.assert_allclose(compiled(CONFIG)(params, x, spread, text), compiled(CONFIG)(params, x, t, text), rtol=1e-5, atol=1e-5)
    grads, expected = gradients(CONFIG, params, (x, spread, text)), gradients(CONFIG, params, inputs)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), grads, expected)


def test_every_token_follows_its_own_time(inputs):
    """With attention and feed-forward switched off, a token's output depends on its own patch and time alone."""
    config = dataclasses.replace(CONFIG, layers=1)
    params = jax.tree.map(lambda leaf: leaf + 0.1, init(config, KEYS[2]))
    for part in (params['blocks']['attention'], params['blocks']['cross']):
        part['out'] = jax.tree.map(jnp.zeros_like, part['out'])
    (x, _, text), t = inputs, jnp.linspace(0, 1, 3 * 12).reshape(3, 12)
    out = patchify(compiled(config)(params, x, t, text), config.patch)
    for token in (0, 5, 11):
        alone = patchify(compiled(config)(params, x, t[:, token], text), config.patch)
        np.testing.assert_allclose(out[:, token], alone[:, token], rtol=1e-4, atol=1e-5)
        assert relative(out[:, token - 1], alone[:, token - 1]) > 1e-3


def test_one_time_a_video_makes_no_rows_for_every_token(inputs):
    """The modulation of every token is an array only where every token has a time."""
    rows = lambda t: jax.jit(whole(CONFIG)).lower(abstract_params(CONFIG), inputs[0], t, inputs[2]).as_text().count('x12x6x32xf32')
    assert rows(inputs[1]) == 0 < rows(jnp.zeros((3, 12)))


def test_times_of_another_number_of_tokens_are_refused(params, inputs):
    for shape in ((3, 11), (3, 12, 1)):
        with pytest.raises(ValueError, match=r'\[B\] or \[B, 12\]'):
            whole(CONFIG)(params, inputs[0], jnp.zeros(shape), inputs[2])


def test_a_platform_changes_no_number_of_xlas(params, inputs):
    """The layout for a CPU's matrix products is the same function."""
    gpu = dataclasses.replace(CONFIG, platform='gpu', attention='xla')
    np.testing.assert_allclose(compiled(gpu)(params, *inputs), compiled(CONFIG)(params, *inputs), rtol=1e-5, atol=1e-5)
    text = {name: jax.jit(whole(config)).lower(abstract_params(config), *inputs).as_text() for name, config in
            {'cpu': CONFIG, 'gpu': gpu}.items()}
    assert 'tensor<36x48xf32>' in text['cpu'] and 'tensor<36x48xf32>' not in text['gpu']  # 3 x 12 tokens in one axis


def test_tokens_are_rows_of_the_table(params, inputs):
    x, t, _ = inputs
    table, tokens = jax.random.normal(KEYS[6], (9, 12)), jnp.array([[0, 8, 3, 3], [1, 2, 3, 4], [5, 6, 7, 8]])
    looked_up = compiled(dataclasses.replace(CONFIG, vocab=9))({**params, 'embed': {'embedding': table}}, x, t, tokens)
    np.testing.assert_allclose(looked_up, compiled(CONFIG)(params, x, t, table[tokens]), atol=1e-6)


@pytest.mark.parametrize('change', [{'unroll': 2}, {'remat': 'dots'}, {'remat': 'full'}, {'attention': 'xla'},
                                    {'attention': 'chunked', 'remat': 'dots'}])
def test_execution_changes_no_gradient(params, inputs, change):
    other = gradients(dataclasses.replace(CONFIG, **change), params, inputs)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), other, gradients(CONFIG, params, inputs))


def test_blocks_are_applied_in_order(params, inputs):
    """A model of two blocks with the last switched off is a model of one."""
    off = jax.tree.map(lambda leaf: leaf.at[1:].set(0), params['blocks'])
    off['modulation'] = off['modulation'].at[1:].set(0)
    one = {**params, 'blocks': jax.tree.map(lambda leaf: leaf[:1], params['blocks'])}
    np.testing.assert_allclose(compiled(CONFIG)({**params, 'blocks': off}, *inputs),
                               compiled(dataclasses.replace(CONFIG, layers=1))(one, *inputs), atol=1e-5)


def test_bfloat16_is_close_to_float32(params, inputs):
    out = compiled(dataclasses.replace(CONFIG, dtype='bfloat16'))(params, *inputs)
    assert out.dtype == jnp.float32
    assert 0 < relative(out, compiled(CONFIG)(params, *inputs)) < 0.03


def test_depth_costs_no_compilation(inputs):
    lines = {depth: len(jax.jit(whole(dataclasses.replace(CONFIG, layers=depth))).lower(
        abstract_params(dataclasses.replace(CONFIG, layers=depth)), *inputs).as_text().splitlines()) for depth in (2, 12)}
    assert lines[2] == lines[12]  # the program is one block long


def test_one_compilation_serves_every_t_and_text(params, inputs):
    predict, (x, t, text) = compiled(CONFIG), inputs
    predict(params, x, t, text)
    programs = predict._cache_size()
    for i in range(1, 4):
        predict(params, x + i, t / (1 + i), text * i)
    assert predict._cache_size() == programs


FLOPS = dataclasses.replace(CONFIG, layers=1, head_dim=64, ffn_dim=512, text_dim=128, freq_dim=128, text_len=32)
CLIP = jnp.zeros((1, 8, 16, 16, 3)), jnp.zeros((1,)), jnp.zeros((1, 32, 128))


def test_flops_are_those_the_compiler_counts():
    cost = jax.jit(whole(FLOPS)).lower(abstract_params(FLOPS), *CLIP).cost_analysis()
    assert flops_per_example(FLOPS, (8, 16, 16)) == pytest.approx(cost['flops'], rel=0.1)  # it counts norms and softmax too


@pytest.mark.parametrize('trained', ['full', 'patch_in/bias'])
def test_flops_of_training_are_those_the_compiler_counts(trained):
    grad = jax.grad(lambda part, rest, *inputs: jnp.sum(whole(FLOPS)(merge(part, rest), *inputs)))
    cost = jax.jit(grad).lower(*partition(abstract_params(FLOPS), selects(trained)), *CLIP).cost_analysis()
    expected = training_flops_per_example(FLOPS, (8, 16, 16), trained=float(trained == 'full'))
    assert expected == pytest.approx(cost['flops'], rel=0.15)


@pytest.mark.parametrize(('change', 'message'), [
    ({'head_dim': 15}, '15'), ({'layers': 0}, 'layers.*0'), ({'patch': (1, 2)}, r'\(1, 2\)'), ({'vocab': 0}, 'vocab.*0'),
    ({'dtype': 'float16'}, "float16"), ({'remat': 'some'}, 'some'), ({'attention': 'flash'}, 'flash'), ({'freq_dim': 7}, '7'),
    ({'platform': 'npu'}, 'npu')])
def test_a_config_that_makes_no_model_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG, **change)


def test_a_video_that_the_patch_does_not_divide_is_refused(params, inputs):
    with pytest.raises(ValueError, match='3 frames, 6 x 8'):
        whole(CONFIG)(params, inputs[0][:, :3], *inputs[1:])


@pytest.mark.parametrize(('dtype', 'tolerance'), [('float32', 1e-5), ('bfloat16', 2e-2)])
def test_attention_and_its_gradients_are_those_of_jax(dtype, tolerance):
    q, k, v = (jax.random.normal(key, (2, n, 3, 8)).astype(dtype) for key, n in zip(KEYS, (7, 5, 5), strict=False))
    loss = lambda kind: lambda *qkv: jnp.sum(jnp.sin(attend(*qkv, kind).astype(jnp.float32)))
    value = lambda kind: jax.value_and_grad(loss(kind), argnums=(0, 1, 2))(q, k, v)
    assert attend(q, k, v, 'auto').dtype == dtype
    ours_all = value('auto')
    with jax.numpy_dtype_promotion('standard'):  # the backward pass of jax.nn's mixes bfloat16 and float32
        theirs_all = value('xla')
    for ours, theirs in zip(jax.tree.leaves(ours_all), jax.tree.leaves(theirs_all), strict=True):
        assert relative(ours.astype(jnp.float32), theirs.astype(jnp.float32)) < tolerance


def test_attention_to_huge_logits_is_finite_and_picks_the_largest():
    q = jnp.full((1, 1, 1, 4), 1e4)
    k = jnp.asarray([1.0, 2.0, 3.0])[None, :, None, None] * jnp.ones((1, 3, 1, 4))
    np.testing.assert_array_equal(attend(q, k, k, 'auto'), k[:, 2:])
