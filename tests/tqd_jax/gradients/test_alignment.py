"""Cosines of gradients against closed forms: Gaussian vectors of known means."""

import numpy as np
import pytest
from gradient_products import D, K, S, products_of

from tqd_jax.gradients import alignment


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


def test_crossings_and_what_they_say():
    t = np.array([0.1, 0.3, 0.5, 0.7])
    assert alignment.crossings(t, [-1, -1, 1, 1]) == pytest.approx([0.4])
    assert alignment.crossings(t, [-3, np.nan, 1, 1]) == pytest.approx([0.4])
    assert alignment.crossings(t, [1, 2, 1, 1]) == []
    said = {(-1, 0, 1): 'holds', (1, 0, -1): 'reversed', (0, 0): 'undecided', (1, 1): 'above everywhere', (-1, 0): 'below everywhere',
            (-1, 1, -1): 'mixed'}
    for sign, word in said.items():
        assert alignment.verdict(sign) == word
