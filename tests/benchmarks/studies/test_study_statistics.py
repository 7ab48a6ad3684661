"""The statistics of few seeds against scipy, brute force, and their own promise: how often an interval covers the truth."""
import itertools

import numpy as np
import pytest
from scipy import stats

from benchmarks.studies.pages.statistics import Estimate, estimate, paired_difference, resampled_means, verdict

VALUES = np.array([0.3, 1.1, -0.4, 0.8, 2.0])


def test_all_resamples_are_those_of_brute_force():
    means, probability = resampled_means(VALUES)
    brute = np.array([np.mean(sample) for sample in itertools.product(VALUES, repeat=5)])
    assert probability.sum() == pytest.approx(1) and len(means) == 126
    for power in (1, 2, 3):
        assert np.sum(probability * means**power) == pytest.approx(np.mean(brute**power))
    for level in (-0.1, 0.35, 0.6, 1.3):
        assert probability[means <= level].sum() == pytest.approx(np.mean(brute <= level + 1e-12), abs=1e-9)


def test_the_interval_is_scipys_percentile_bootstrap_and_students():
    found = estimate(VALUES)
    theirs = stats.bootstrap((VALUES,), np.mean, n_resamples=200_000, method='percentile', rng=0).confidence_interval
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.03)  # values are apart by as much
    assert (found.t_low, found.t_high) == pytest.approx(stats.t.interval(0.95, 4, VALUES.mean(), stats.sem(VALUES)))
    many = np.random.default_rng(1).standard_normal(30)
    theirs = stats.bootstrap((many,), np.mean, n_resamples=50_000, method='percentile', rng=0).confidence_interval
    assert (estimate(many).low, estimate(many).high) == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_how_often_the_intervals_of_five_seeds_cover():
    found = [estimate(row) for row in np.random.default_rng(0).standard_normal((1500, 5))]
    percentile, student = np.mean([e.low <= 0 <= e.high for e in found]), np.mean([e.t_low <= 0 <= e.t_high for e in found])
    assert percentile == pytest.approx(0.83, abs=0.03)  # as verdict's docstring says; three standard errors are 0.03
    assert student == pytest.approx(0.95, abs=0.017)


def test_pairing_removes_what_seeds_share():
    rng = np.random.default_rng(2)
    seed, noise = 10 * rng.standard_normal(5), 0.1 * rng.standard_normal(5)
    difference = paired_difference(seed + 1 + noise, seed)
    assert difference.mean == pytest.approx(1 + noise.mean()) and difference.high - difference.low < 0.3
    assert verdict(difference) == 'holds' and verdict(difference, sign=-1) == 'is refuted'
    with pytest.raises(ValueError, match='same seeds, got 5 and 4'):
        paired_difference(seed, seed[:4])


def test_a_verdict_asks_both_intervals():
    make = lambda low, high, t_low, t_high: Estimate(mean=(low + high) / 2, low=low, high=high, t_low=t_low, t_high=t_high)
    assert verdict(make(0.1, 0.3, -0.1, 0.5)) == 'undecided'
    assert verdict(make(0.1, 0.3, 0.05, 0.35)) == 'holds'
    assert verdict(make(-0.3, -0.1, -0.35, -0.05)) == 'is refuted'


def test_too_little_is_undecided():
    one = estimate([0.7])
    assert one.mean == 0.7 and np.isnan([one.low, one.t_high]).all() and verdict(one) == 'undecided'
    assert verdict(estimate([1.0, np.nan, 2.0])) == 'undecided'
    assert verdict(estimate([0.5, 0.5, 0.5])) == 'undecided'  # of shares of few samples this happens by chance, and says nothing of spread
