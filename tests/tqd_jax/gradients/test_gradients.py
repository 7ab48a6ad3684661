"""Products of gradients against their definition, and a linear model whose expected gradients are integrals."""
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gradient_products import D, K, S, products_of

from tqd_jax.data.batch import uniform_batch
from tqd_jax.diffusion.objective import Objective, init_frozen
from tqd_jax.diffusion.path import Path
from tqd_jax.gradients import alignment
from tqd_jax.gradients import products as gradients
from tqd_jax.latents.pixels import PixelCodec
from tqd_jax.models.wan import model as wan
from tqd_jax.text.words import HashedWords


@jax.jit
def by_the_module(vectors, scale):
    """(total, squares, Products) of the module, where the gradient of a chunk is the chunk itself."""
    chunks, metric = {'w': vectors}, {'w': scale}
    total, squares = gradients.gradient_sums(lambda chunk: chunk, chunks)
    layers = gradients.LayerGroups(names=('all', 'w'), index=((1,),))
    return total, squares, gradients.gradient_products(lambda chunk: chunk, chunks, total, layers, metric)


def test_two_passes_over_the_chunks_give_the_products_of_their_definition():
    rng = np.random.default_rng(7)
    vectors, scale = rng.standard_normal((K, S, D)).astype(np.float32), rng.uniform(0.1, 3, D).astype(np.float32)
    total, squares, found = by_the_module(vectors, scale)
    wanted = products_of(vectors.astype(float) * np.sqrt(scale.astype(float)))
    for group in range(2):
        np.testing.assert_allclose(found.own[:, group], wanted.own[:, 0], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(found.cross[:, group], wanted.cross[:, 0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(total['w'], vectors.sum(0), atol=1e-5)
    np.testing.assert_allclose(squares['w'], (vectors**2).sum((0, 1)), rtol=1e-5)


def test_layer_groups_are_wans_parts_and_add_up():
    config = wan.WanConfig(layers=2, heads=1, head_dim=6, ffn_dim=8, text_dim=4, text_len=2, freq_dim=4, vocab=8, in_channels=3,
                           out_channels=3)
    rng = np.random.default_rng(9)
    params = jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape).astype(leaf.dtype), wan.abstract_params(config))
    groups = gradients.layer_groups(params)
    assert groups.names[0] == 'all' and set(groups.names) == {'all', 'block 1', 'block 2', 'text', 'time', 'input', 'output'}
    one = jax.tree.map(lambda x: x[None], params)
    found = jax.jit(lambda tree: gradients.inner_products(tree, tree, groups))(one)[:, 0, 0]
    assert found[0] == pytest.approx(sum(float(np.sum(np.square(leaf))) for leaf in jax.tree.leaves(params)), rel=1e-5)
    second = sum(float(np.sum(np.square(leaf[1]))) for leaf in jax.tree.leaves(params['blocks']))
    assert found[groups.names.index('block 2')] == pytest.approx(second, rel=1e-5)
    assert float(np.sum(found[1:])) == pytest.approx(float(found[0]), rel=1e-6)


BINS, CLIPS = 4, 64
THETA = {'gain': jnp.float32(0.3), 'bias': jnp.float32(-0.1)}
OBJECTIVE = Objective(model=lambda params, frozen, x, t, text: params['gain'] * x + params['bias'], codec=PixelCodec(),
                      text=HashedWords(length=1, vocab=2), path=Path(), seed=5)


def pixels(rng, group, size):
    """Clips [size, 2, 4, 4, 3] of independent pixels, of another law for every group, and the law's first two moments in [-1, 1]."""
    low, high = ((0, 256), (0, 100), (120, 136))[group]
    values = np.arange(low, high) / 127.5 - 1
    return rng.integers(low, high, (size, 2, 4, 4, 3)).astype(np.uint8), values.mean(), (values**2).mean()


def expected_gradient(mean, square, noise_bin):
    """E of the gradient in gain and bias: of 2 (gain x_t + bias - eps + x_0) (x_t, 1), over data, noise and the t of a noise bin."""
    t = (noise_bin + (np.arange(2000) + 0.5) / 2000) / BINS
    x, xx, x_target = (1 - t) * mean, (1 - t) ** 2 * square + t**2, t - (1 - t) * square
    gain, bias = (float(value) for value in (THETA['gain'], THETA['bias']))
    return np.array([np.mean(2 * (gain * xx + bias * x - x_target)), np.mean(2 * (gain * x + bias + mean))])


@functools.cache
def linear_run():
    rng = np.random.default_rng(8)
    data = [pixels(rng, group, CLIPS) for group in range(3)]
    frames = np.concatenate([frames for frames, _, _ in data])
    clips = jax.tree.map(jnp.asarray, uniform_batch(frames, np.zeros((3 * CLIPS, 1), np.int32)))
    groups, chunks = gradients.layer_groups(THETA), gradients.copy_chunks(CLIPS, 3, K, 2)
    run = jax.jit(lambda number: gradients.copy_products(OBJECTIVE, THETA, init_frozen(OBJECTIVE, {}), clips, number, chunks, groups, BINS))
    return data, groups, [run(number) for number in range(BINS)]


def test_a_linear_models_gradients_have_the_inner_products_of_their_integrals():
    data, groups, found = linear_run()
    assert groups.names == ('all', 'bias', 'gain')
    for number, products in enumerate(found):
        truth = np.stack([expected_gradient(mean, square, number) for _, mean, square in data])
        estimate, error = alignment.expected_products(products), alignment.standard_error(alignment.expected_replicates(products))
        for group, wanted in enumerate((truth @ truth.T, np.outer(truth[:, 1], truth[:, 1]), np.outer(truth[:, 0], truth[:, 0]))):
            assert (np.abs(estimate[group] - wanted) < 5 * error[group] + 1e-4).all(), (number, group)
        cosine = alignment.alignment(products)['expected']
        wanted = alignment.cosines(truth @ truth.T)
        assert (np.abs(cosine['cosine'][0] - wanted) < (cosine['high'] - cosine['low'])[0] + 1e-3).all()


def test_timesteps_fill_their_bin_and_depend_on_the_example_alone():
    examples = jnp.arange(24, dtype=jnp.uint32).reshape(3, 8)
    t = np.asarray(gradients.timesteps_in_bin(1, examples, jnp.int32(2), 5))
    assert (t >= 0.4).all() and (t < 0.6).all()
    np.testing.assert_array_equal(np.floor((t - 0.4) * 5 * 8 + 1e-4), np.tile(np.arange(8), (3, 1)))
    np.testing.assert_array_equal(t[1:], gradients.timesteps_in_bin(1, examples[1:], jnp.int32(2), 5))
    assert not np.array_equal(t, gradients.timesteps_in_bin(2, examples, jnp.int32(2), 5))


def test_chunks_hold_each_clip_once_and_copies_share_their_noise():
    rows, examples = gradients.copy_chunks(11, 2, 3, 2)
    assert rows.shape == examples.shape == (3, 2, 6)
    np.testing.assert_array_equal(rows[:, 1], rows[:, 0] + 11)
    np.testing.assert_array_equal(examples[:, 0], examples[:, 1])
    assert sorted(rows[:, 0].reshape(-1)) == sorted([*range(9)] * 2) and len(np.unique(examples[:, 0])) == 18
    for bad in ((2, 5), (5, 4)):
        with pytest.raises(ValueError, match='cannot be cut'):
            gradients.copy_chunks(bad[1], 2, bad[0], 1)
