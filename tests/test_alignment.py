"""Cosines of gradients against closed forms: Gaussian vectors of known means, a linear model whose expected gradients are integrals."""
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tqd_jax import alignment
from tqd_jax.codec import PixelCodec
from tqd_jax.flow import Path
from tqd_jax.models import wan
from tqd_jax.step import Problem

K, S, D = 8, 3, 40


def products_of(vectors):
    """The Products of given gradients [K, ..., S, D], by their definition; one group, which is all of them."""
    own = np.einsum('k...si,k...ri->k...sr', vectors, vectors)
    cross = np.einsum('k...si,...ri->k...sr', vectors, vectors.sum(0))
    return alignment.Products(cross=cross[..., None, :, :], own=own[..., None, :, :])


@jax.jit
def by_the_module(vectors, scale):
    """(total, squares, Products) of the module, where the gradient of a chunk is the chunk itself."""
    chunks, metric = {'w': vectors}, {'w': scale}
    total, squares = alignment.gradient_sums(lambda chunk: chunk, chunks)
    groups = alignment.Groups(names=('all', 'w'), index=((1,),))
    return total, squares, alignment.gradient_products(lambda chunk: chunk, chunks, total, groups, metric)


def drawn(rng, means, trials):
    """Gradients [K, trials, S, D] of known means [S, D]; the noise of a chunk is the same in all kinds, as with copies of clips."""
    return means + rng.standard_normal((K, trials, 1, D))


def test_products_of_different_chunks_have_no_bias_and_the_plug_in_has():
    means = np.random.default_rng(1).standard_normal((S, D)) / np.sqrt(D)
    vectors = drawn(np.random.default_rng(0), means, 1000)
    expected = alignment.expected_products(products_of(vectors))[:, 0]
    error = expected.std(0) / np.sqrt(len(expected))
    assert (np.abs(expected.mean(0) - means @ means.T) < 4 * error).all()
    plain = np.einsum('tsi,tri->sr', *[vectors.mean(0)] * 2) / vectors.shape[1]
    np.testing.assert_allclose(plain - means @ means.T, D / K, rtol=0.1)  # Cov / K in every entry: the noise is shared


def test_the_definition_by_all_pairs_and_by_leaving_out():
    vectors = drawn(np.random.default_rng(2), np.zeros((S, D)), 1)[:, 0]
    products = products_of(vectors)

    def by_pairs(chosen):
        pairs = [(i, j) for i in chosen for j in chosen if i != j]
        return np.mean([np.einsum('si,ri->sr', vectors[i], vectors[j]) for i, j in pairs], 0)

    np.testing.assert_allclose(alignment.expected_products(products)[0], by_pairs(range(K)), atol=1e-9)
    for k, found in enumerate(alignment.expected_replicates(products)):
        np.testing.assert_allclose(found[0], by_pairs([i for i in range(K) if i != k]), atol=1e-9)
    matched, without = alignment.matched_products(products)
    np.testing.assert_allclose(matched[0], np.mean([v @ v.T for v in vectors], 0))
    np.testing.assert_allclose(without[2][0], np.mean([v @ v.T for v in np.delete(vectors, 2, 0)], 0))


def test_bands_hold_the_true_cosine_as_often_as_they_say():
    means = np.random.default_rng(4).standard_normal((S, D))
    truth = alignment.cosines(means @ means.T)
    found = alignment.alignment(products_of(means + 1.5 * np.random.default_rng(3).standard_normal((K, 2000, S, D))))['expected']
    inside = (found['low'][:, 0] < truth) & (truth < found['high'][:, 0])
    assert 0.93 < inside.mean() < 0.98, inside.mean()
    assert (np.abs(np.nanmean(found['cosine'][:, 0], 0) - truth) < 0.005).all()


def test_the_same_gradients_have_cosine_one_and_no_signal_has_none():
    rng = np.random.default_rng(5)
    same = np.repeat(rng.standard_normal((K, 1, D)) + 3, S, axis=1)
    found = alignment.alignment(products_of(same))
    np.testing.assert_allclose(found['expected']['cosine'], 1)
    np.testing.assert_allclose(found['matched']['cosine'], 1)
    for name in ('expected', 'matched'):
        np.testing.assert_allclose(found[name]['difference']['cosine'], 0, atol=1e-12)
        assert (found[name]['difference']['sign'] == 0).all()
    noise = alignment.alignment(products_of(rng.standard_normal((K, 500, S, D))))['expected']['cosine']
    assert np.isnan(noise).mean() > 0.95
    opposed = np.array([1.0, -1.0, 1.0])[:, None] * same
    found = alignment.alignment(products_of(opposed))
    np.testing.assert_allclose(found['expected']['cosine'][0], [-1, 1])
    assert found['expected']['difference']['sign'].tolist() == [[1]]


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
    groups = alignment.layer_groups(params)
    assert groups.names[0] == 'all' and set(groups.names) == {'all', 'block 1', 'block 2', 'text', 'time', 'input', 'output'}
    one = jax.tree.map(lambda x: x[None], params)
    found = jax.jit(lambda tree: alignment.inner_products(tree, tree, groups))(one)[:, 0, 0]
    assert found[0] == pytest.approx(sum(float(np.sum(np.square(leaf))) for leaf in jax.tree.leaves(params)), rel=1e-5)
    second = sum(float(np.sum(np.square(leaf[1]))) for leaf in jax.tree.leaves(params['blocks']))
    assert found[groups.names.index('block 2')] == pytest.approx(second, rel=1e-5)
    assert float(np.sum(found[1:])) == pytest.approx(float(found[0]), rel=1e-6)


BUCKETS, CLIPS = 4, 64
THETA = {'gain': jnp.float32(0.3), 'bias': jnp.float32(-0.1)}
PROBLEM = Problem(model=lambda params, x, t, tokens: params['gain'] * x + params['bias'], codec=PixelCodec(), path=Path(), seed=5)


def pixels(rng, kind, size):
    """Clips [size, 2, 4, 4, 3] of independent pixels, of another law for every kind, and the law's first two moments in [-1, 1]."""
    low, high = ((0, 256), (0, 100), (120, 136))[kind]
    values = np.arange(low, high) / 127.5 - 1
    return rng.integers(low, high, (size, 2, 4, 4, 3)).astype(np.uint8), values.mean(), (values**2).mean()


def expected_gradient(mean, square, bucket):
    """E of the gradient in gain and bias: of 2 (gain x_t + bias - eps + x_0) (x_t, 1), over data, noise and the bucket's t."""
    t = (bucket + (np.arange(2000) + 0.5) / 2000) / BUCKETS
    x, xx, x_target = (1 - t) * mean, (1 - t) ** 2 * square + t**2, t - (1 - t) * square
    gain, bias = (float(value) for value in (THETA['gain'], THETA['bias']))
    return np.array([np.mean(2 * (gain * xx + bias * x - x_target)), np.mean(2 * (gain * x + bias + mean))])


@functools.cache
def linear_run():
    rng = np.random.default_rng(8)
    data = [pixels(rng, kind, CLIPS) for kind in range(3)]
    frames = jnp.asarray(np.concatenate([frames for frames, _, _ in data]))
    groups, chunks = alignment.layer_groups(THETA), alignment.copy_chunks(CLIPS, 3, K, 2)
    run = jax.jit(lambda bucket: alignment.copy_products(PROBLEM, THETA, frames, jnp.zeros((3 * CLIPS, 1), jnp.int32), bucket, chunks,
                                                         groups, BUCKETS))
    return data, groups, [run(bucket) for bucket in range(BUCKETS)]


def test_a_linear_models_gradients_have_the_inner_products_of_their_integrals():
    data, groups, found = linear_run()
    assert groups.names == ('all', 'bias', 'gain')
    for bucket, products in enumerate(found):
        truth = np.stack([expected_gradient(mean, square, bucket) for _, mean, square in data])
        estimate, error = alignment.expected_products(products), alignment.standard_error(alignment.expected_replicates(products))
        for group, wanted in enumerate((truth @ truth.T, np.outer(truth[:, 1], truth[:, 1]), np.outer(truth[:, 0], truth[:, 0]))):
            assert (np.abs(estimate[group] - wanted) < 5 * error[group] + 1e-4).all(), (bucket, group)
        cosine = alignment.alignment(products)['expected']
        wanted = alignment.cosines(truth @ truth.T)
        assert (np.abs(cosine['cosine'][0] - wanted) < (cosine['high'] - cosine['low'])[0] + 1e-3).all()


def test_noise_levels_fill_their_bucket_and_depend_on_the_example_alone():
    examples = jnp.arange(24, dtype=jnp.uint32).reshape(3, 8)
    t = np.asarray(alignment.noise_levels(1, examples, jnp.int32(2), 5))
    assert (t >= 0.4).all() and (t < 0.6).all()
    np.testing.assert_array_equal(np.floor((t - 0.4) * 5 * 8 + 1e-4), np.tile(np.arange(8), (3, 1)))
    np.testing.assert_array_equal(t[1:], alignment.noise_levels(1, examples[1:], jnp.int32(2), 5))
    assert not np.array_equal(t, alignment.noise_levels(2, examples, jnp.int32(2), 5))


def test_chunks_hold_each_clip_once_and_copies_share_their_noise():
    rows, examples = alignment.copy_chunks(11, 2, 3, 2)
    assert rows.shape == examples.shape == (3, 2, 6)
    np.testing.assert_array_equal(rows[:, 1], rows[:, 0] + 11)
    np.testing.assert_array_equal(examples[:, 0], examples[:, 1])
    assert sorted(rows[:, 0].reshape(-1)) == sorted([*range(9)] * 2) and len(np.unique(examples[:, 0])) == 18
    for bad in ((2, 5), (5, 4)):
        with pytest.raises(ValueError, match='cannot be cut'):
            alignment.copy_chunks(bad[1], 2, bad[0], 1)


def test_crossings_and_what_they_say():
    t = np.array([0.1, 0.3, 0.5, 0.7])
    assert alignment.crossings(t, [-1, -1, 1, 1]) == pytest.approx([0.4])
    assert alignment.crossings(t, [-3, np.nan, 1, 1]) == pytest.approx([0.4])
    assert alignment.crossings(t, [1, 2, 1, 1]) == []
    said = {(-1, 0, 1): 'holds', (1, 0, -1): 'reversed', (0, 0): 'undecided', (1, 1): 'above everywhere', (-1, 0): 'below everywhere',
            (-1, 1, -1): 'mixed'}
    for sign, word in said.items():
        assert alignment.verdict(sign) == word
