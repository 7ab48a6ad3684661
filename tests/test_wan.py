"""The transformer by its own properties: relative positions, limits, precision, rematerialisation, abstract presets."""
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tqd_jax.models import wan
from tqd_jax.models.import_torch import import_torch
from tqd_jax.models.rope import rotary_angles, rotate
from tqd_jax.models.wan import PRESETS, WanConfig, abstract_params, apply, flops_per_example, init_params

SMALL = WanConfig(layers=3, heads=2, head_dim=12, ffn_dim=40, text_dim=8, text_len=3, in_channels=3, out_channels=3, vocab=11,
                  patch=(2, 4, 4))
SHAPE = (2, 4, 8, 12, 3)


def inputs(seed=0, shape=SHAPE):
    rng = np.random.default_rng(seed)
    x, tokens = rng.standard_normal(shape), [[1, 2, 0], [5, 0, 0]]
    return jnp.asarray(x, jnp.float32), jnp.asarray([0.2, 0.9], jnp.float32), jnp.asarray(tokens, jnp.int32)


def awake(config, seed=0):
    """Parameters with every leaf moved off its start, so that no gate or last layer is zero."""
    leaves, tree = jax.tree.flatten(init_params(config, jax.random.key(seed)))
    keys = jax.random.split(jax.random.key(seed + 1), len(leaves))
    return jax.tree.unflatten(tree, [leaf + 0.1 * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys, strict=True)])


def test_a_fresh_model_predicts_exactly_zero():
    np.testing.assert_array_equal(apply(SMALL)(init_params(SMALL, jax.random.key(0)), *inputs()), 0)


def test_examples_do_not_see_each_other():
    params, (x, t, text) = awake(SMALL), inputs()
    both = apply(SMALL)(params, x, t, text)
    np.testing.assert_allclose(both[:1], apply(SMALL)(params, x[:1], t[:1], text[:1]), atol=2e-5)


@pytest.mark.parametrize('change', ['x', 't', 'text'])
def test_every_input_matters(change):
    params, given = awake(SMALL), dict(zip(('x', 't', 'text'), inputs(), strict=True))
    other = given | {change: given[change] + given[change].dtype.type(1) if change != 't' else given['t'] * 0.5}
    moved = jnp.abs(apply(SMALL)(params, *given.values()) - apply(SMALL)(params, *other.values())).max()
    assert float(moved) > 1e-3


def test_rotation_makes_scores_depend_on_relative_positions_alone():
    grid, dim = (3, 4, 5), 18
    angles = rotary_angles(grid, dim)[None, :, None, :]
    q, k = jax.random.normal(jax.random.key(0), (1, 1, 1, dim)), jax.random.normal(jax.random.key(1), (1, 1, 1, dim))
    turn = lambda v: rotate(jnp.broadcast_to(v, (1, 60, 1, dim)), jnp.cos(angles), jnp.sin(angles))[0, :, 0]
    scores = np.asarray(turn(q) @ turn(k).T).reshape(*grid, *grid)
    np.testing.assert_allclose(scores[:-1, :-1, :-1, :-1, :-1, :-1], scores[1:, 1:, 1:, 1:, 1:, 1:], atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(turn(q), axis=-1), np.linalg.norm(q), rtol=1e-5)


def test_patches_are_cut_and_put_back():
    x = jax.random.normal(jax.random.key(0), SHAPE)
    tokens = wan.patchify(x, (2, 4, 4))
    assert tokens.shape == (2, 2 * 2 * 3, 2 * 4 * 4 * 3)
    np.testing.assert_array_equal(tokens[0, 1].reshape(2, 4, 4, 3), x[0, :2, :4, 4:8])
    np.testing.assert_array_equal(wan.unpatchify(tokens, (2, 2, 3), (2, 4, 4)), x)


def test_time_features_are_cosines_then_sines_of_a_thousand_t():
    features = wan.time_features(jnp.asarray([0.25], jnp.float32), 8)[0]
    angles = 250 * 10000.0 ** (-np.arange(4) / 4)
    np.testing.assert_allclose(features, np.concatenate([np.cos(angles), np.sin(angles)]), atol=2e-5)


@pytest.mark.parametrize('changes', [dict(unroll=3), dict(remat='full'), dict(remat='dots')])
def test_execution_choices_leave_gradients_alone(changes):
    params, given = awake(SMALL), inputs()
    grad = lambda config: jax.jit(jax.grad(lambda p: jnp.square(apply(config)(p, *given)).mean()))(params)
    close = lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5 * float(jnp.abs(b).max()) + 1e-7)
    jax.tree.map(close, grad(dataclasses.replace(SMALL, **changes)), grad(SMALL))


def test_bfloat16_stays_close_and_its_parameters_are_float32():
    params, given = awake(SMALL), inputs()
    exact, rough = (apply(config)(params, *given) for config in (SMALL, dataclasses.replace(SMALL, dtype='bfloat16')))
    assert rough.dtype == jnp.float32 and all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(params))
    assert float(jnp.linalg.norm(exact - rough) / jnp.linalg.norm(exact)) < 0.03


@pytest.mark.parametrize(('preset', 'size'), [('wan_1_3b', 1_418_996_800), ('wan_14b', 14_288_491_584)])
def test_presets_have_the_public_number_of_parameters(preset, size):
    assert sum(leaf.size for leaf in jax.tree.leaves(abstract_params(PRESETS[preset]))) == size


def test_flops_are_those_of_the_lowered_program():
    config = dataclasses.replace(SMALL, unroll=SMALL.layers, layers=1)
    params, (x, t, text) = init_params(config, jax.random.key(0)), inputs()
    counted = jax.jit(apply(config)).lower(params, x[:1], t[:1], text[:1]).compile().cost_analysis()['flops']
    assert flops_per_example(config, SHAPE[1:]) == pytest.approx(counted, rel=0.15)  # the compiler also counts norms and gates


def test_impossible_configs_and_videos_are_refused():
    for name, value in (('head_dim', 7), ('layers', 0), ('dtype', 'float16'), ('patch', (1, 2))):
        with pytest.raises(ValueError, match=name):
            dataclasses.replace(SMALL, **{name: value})
    with pytest.raises(ValueError, match='cannot be cut'):
        apply(SMALL)(abstract_params(SMALL), jnp.zeros((1, 3, 8, 8, 3)), jnp.zeros(1), jnp.zeros((1, 3), jnp.int32))


def test_foreign_weights_that_do_not_fit_are_named():
    config = dataclasses.replace(SMALL, vocab=None)
    with pytest.raises(ValueError, match='no array'):
        import_torch(config, {})
    with pytest.raises(ValueError, match='vocab must be None'):
        import_torch(SMALL, {})
