"""Intervals of means and of paired differences are scipy's, hold their level, and say nothing where there is nothing to say."""
import numpy as np
import pytest
from scipy import stats

from tqd_jax.report.intervals import mean_of, paired


def test_they_are_scipys():
    ours, theirs = np.random.default_rng(0).gamma(2.0, size=(2, 16))
    wanted = stats.ttest_1samp(ours, 0).confidence_interval(0.95)
    found = mean_of(ours)
    assert (found.value, found.low, found.high, found.count) == pytest.approx((ours.mean(), wanted.low, wanted.high, 16), rel=1e-12)
    wanted = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    found = paired(ours, theirs)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), rel=1e-12)
    assert -found == paired(theirs, ours)


def test_nineteen_of_twenty_intervals_cover_the_mean():
    draws = np.random.default_rng(1).normal(0.3, 2.0, size=(4000, 8))
    means = [mean_of(row) for row in draws]
    covered = np.mean([one.low < 0.3 < one.high for one in means])
    assert abs(covered - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 4000)


@pytest.mark.parametrize(('values', 'sign', 'text'), [
    ([1.0, 2.0, 3.0], 0, '2 [-0.484, 4.48]'), ([2.0, 2.1, 2.2], 1, '2.1 [1.85, 2.35]'), ([-2.0, -2.1, -2.2], -1, '-2.1 [-2.35, -1.85]'),
    ([0.5], 0, '0.5'), ([0.0, 0.0], 0, '0 [0, 0]')])
def test_an_interval_decides_only_where_0_is_outside(values, sign, text):
    assert mean_of(values).sign == sign and str(mean_of(values)) == text


def test_values_that_are_no_pairs_or_none_are_refused():
    for call in (lambda: mean_of([]), lambda: mean_of([[1.0]]), lambda: paired([1.0], [1.0, 2.0])):
        with pytest.raises(ValueError, match=r'must be|want as many'):
            call()
