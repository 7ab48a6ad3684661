"""Evidence of held-out rows: calibrated losses against an optimiser, probabilities of candidates, and the weights of their average."""
import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from scipy.stats import norm

from transfer_jax.evidence import (
    ALONE,
    DOUBT,
    FACTORS,
    OPTIMAL,
    SAFE,
    TEMPERATURE,
    averaged,
    best,
    calibrated_losses,
    candidates,
    clearly_better,
    probabilities,
)


def outputs(seed=0, shape=(2, 3, 40, 4)):
    rng = np.random.default_rng(seed)
    labels = rng.integers(4, size=shape[1:3])
    return rng.normal(size=shape) + 1.5 * np.eye(4)[labels][None], labels


def loss(z, labels, factor):
    return -np.take_along_axis(log_softmax(factor * z, -1), labels[:, None], 1)[:, 0]


def test_the_candidates_are_multiples_of_the_weights_of_g_then_one_weight_for_all():
    optimal = np.array([[0.2, 0.0], [1.5, 0.3]], np.float32)
    names, weights = candidates(optimal)
    assert (names[0], names[2], SAFE) == (OPTIMAL, ALONE, 3) and weights.shape == (len(names), 2, 2) and weights.dtype == np.float32
    np.testing.assert_allclose(weights[:5], optimal * np.array([1, 0.25, 0, 4, 16])[:, None, None])
    np.testing.assert_allclose(weights[5:], np.broadcast_to(np.array([0.01, 0.03, 0.1, 0.3, 1])[:, None, None], (5, 2, 2)))


def test_a_candidates_loss_is_the_least_of_any_factor_but_for_the_grid():
    z, labels = outputs()
    result = calibrated_losses(z, labels)
    for candidate, seed in np.ndindex(2, 3):
        optimum = minimize_scalar(lambda x, c=candidate, s=seed: loss(z[c, s], labels[s], np.exp(x)).mean(), bounds=(-4, 4),
                                  method='bounded')
        assert optimum.fun <= result[candidate, seed].mean() <= optimum.fun + 4e-3
        one = [loss(z[candidate, seed], labels[seed], factor) for factor in FACTORS]
        assert any(np.allclose(result[candidate, seed], rows) for rows in one)


def test_the_scale_of_outputs_has_no_part():
    z, labels = outputs(1)
    np.testing.assert_allclose(calibrated_losses(8 * z, labels), calibrated_losses(z, labels), rtol=1e-12)


def test_outputs_that_say_nothing_lose_log_c():
    z, labels = outputs(2)
    np.testing.assert_allclose(calibrated_losses(np.zeros_like(z), labels), np.log(4))


def test_base_stays_unless_another_is_better_by_more_than_its_standard_error():
    rng = np.random.default_rng(0)
    n = 50
    change = rng.normal(size=n)
    change = (change - change.mean()) / change.std(ddof=1) / n**0.5  # its standard error over rows is 1 / n
    base = rng.uniform(1, 2, (1, 4, n))
    gains = np.array([0.5, 0.99, 1.01, 3.0]) * DOUBT / n
    losses = np.concatenate([base, base - (change + gains[:, None])[None], base + 1])
    assert clearly_better(losses, np.zeros(4, int), 1).tolist() == [0, 0, 1, 1]
    assert clearly_better(losses, np.zeros(4, int), 2).tolist() == [0] * 4 and clearly_better(losses, np.full(4, 2), 3).tolist() == [2] * 4


def test_of_several_that_are_clear_the_clearest_is_taken_and_equals_change_nothing():
    n = 20
    base, noise = np.ones((1, 1, n)), np.where(np.arange(n) % 2, 1.0, -1.0)
    losses = np.concatenate([base, base - 0.5 - noise, base - 0.4 - 0.1 * noise, base])
    assert clearly_better(losses, np.zeros(1, int), 1).tolist() == [2]
    assert clearly_better(np.repeat(base, 3, 0), np.zeros(1, int), 1).tolist() == [0]


def test_to_trust_less_needs_the_smaller_mean_and_to_trust_more_a_clear_gain():
    n = 30
    noise = np.where(np.arange(n) % 2, 1.0, -1.0)[None, None]
    losses = 1 + np.concatenate([0 * noise, noise - 0.01, -noise - 0.02])
    assert best(losses, losses, 1).tolist() == [0] and best(losses, losses, 2).tolist() == [1] and best(losses, losses, 3).tolist() == [2]


def test_choices_of_pure_noise_are_rare():
    """Of two candidates of the same law the other is taken in about one of six cases, as a normal error exceeds its standard error."""
    losses = np.random.default_rng(3).normal(size=(2, 4000, 60))
    assert np.mean(clearly_better(losses, np.zeros(4000, int), 1)) == pytest.approx(0.159, abs=0.02)


@pytest.mark.parametrize('count', [20, 400])
def test_the_odds_of_two_candidates_are_their_evidence_over_the_temperature(count):
    rng = np.random.default_rng(4)
    calibrated = rng.uniform(1, 2, (1, 2, count)) + np.array([0, 0.01, 0.5])[:, None, None]
    plain = np.array([1.0, 2.0, 3.0])[:, None, None] * np.ones((3, 2, count))
    result = probabilities(plain, calibrated, 3)
    np.testing.assert_allclose(np.log(result[0] / result[1]), 0.01 * count / TEMPERATURE, rtol=1e-6)
    np.testing.assert_allclose(result.sum(0), 1)


def test_of_a_regression_the_evidence_is_that_of_errors_of_unknown_variance_in_any_unit():
    errors = np.random.default_rng(5).normal(size=(4, 3, 50)) * np.array([1.0, 1.2, 1.6, 0.9])[:, None, None]
    likelihood = norm.logpdf(errors, scale=np.sqrt((errors**2).mean(-1, keepdims=True))).sum(-1)
    odds = np.exp((likelihood - likelihood[:1]) / TEMPERATURE)
    for unit in (1.0, 1e3):
        result = probabilities((unit * errors) ** 2 / 2, None, 3)
        np.testing.assert_allclose(result / result[:1], odds, rtol=1e-9)


def test_no_source_takes_all_where_it_has_the_least_loss_of_those_that_need_no_proof():
    plain = np.array([[2.0, 2.0], [3.0, 1.0], [1.0, 1.5], [0.5, 0.5]])[:, :, None] * np.ones((1, 1, 8))
    result = probabilities(plain, np.ones_like(plain), 3)
    np.testing.assert_array_equal(result[:, 0], [0, 0, 1, 0])
    np.testing.assert_allclose(result[:, 1], 0.25)


def test_a_fit_at_averaged_weights_is_the_average_of_the_fits_where_a_fit_is_a_mean():
    """A weighted mean of rows is a fit whose curvature is the same in every domain: what `averaged` assumes holds there."""
    rng = np.random.default_rng(6)
    target, sources = rng.normal(size=10), [rng.normal(1, 1, 30), rng.normal(-2, 1, 50)]
    weights = rng.uniform(0, 2, (4, 3, 2))
    weights[1] = 0
    probability = rng.dirichlet(np.ones(4), 3).T
    fit = lambda w: np.average(np.concatenate([target, *sources]), weights=np.repeat([1, *w], [10, 30, 50]))
    each = np.array([[fit(w) for w in of_seed] for of_seed in weights])
    result = averaged(weights, probability, 10, np.array([30, 50]))
    np.testing.assert_allclose([fit(w) for w in result], (probability * each).sum(0), rtol=1e-12)


def test_one_certain_candidate_is_the_average_and_none_is_no_weight():
    weights = np.array([[[0.3, 0.7]], [[0.0, 0.0]]])
    for number in (0, 1):
        np.testing.assert_allclose(averaged(weights, np.eye(2)[:, [number]], 20, np.array([5, 1000])), weights[number])


@pytest.mark.parametrize('size', [0, 60, 1e15])
def test_a_certain_candidate_is_itself_however_large_its_source(size):
    weights = np.array([[[1e3, 0.3]], [[0.0, 0.0]]])
    np.testing.assert_allclose(averaged(weights, np.array([[1.0], [0.0]]), 24, np.array([size, 120])), weights[0], rtol=1e-12)
