"""Verdicts, gains, and the coverage of intervals in worlds whose G is known."""
import numpy as np
import pytest
import scipy.stats

from benchmarks.plan_coverage.worlds import gaussian
from transfer_jax.knowledge import gain, is_unsure, verdict


@pytest.mark.parametrize(('low', 'high', 'harmful', 'word'), [
    (10, 20, True, 'helps'), (0, 9.9, True, 'harms'), (0, 9.9, False, 'adds nothing'), (0, 10, True, 'cannot tell'),
    (9.9, 500, False, 'cannot tell')])
def test_a_verdict_is_the_side_of_a_tenth_of_the_target_on_which_the_interval_lies(low, high, harmful, word):
    assert verdict(low, high, 100, harmful) == word


def test_unsure_is_from_none_to_much():
    assert [is_unsure(*pair, 100) for pair in ((0, 101), (0, 100), (10, 300))] == [True, False, False]


def test_a_gain_is_the_paired_mean_with_its_standard_error():
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(size=(2, 20))
    np.testing.assert_allclose(gain(ours, theirs), ((theirs - ours).mean(), scipy.stats.sem(theirs - ours)))
    ours[3] = np.nan
    np.testing.assert_allclose(gain(ours, theirs)[0], np.nanmean(theirs - ours))


def test_intervals_cover_the_true_weights_where_there_are_many_directions():
    """Of Gaussian means with known G; benchmarks/plan_coverage has more worlds, and those where coverage is poor."""
    many = gaussian((0.0, 1.0, 20.0), d=1000, worlds=50)
    assert many.weight.mean() > 0.88 and many.worth.mean() > 0.85
    assert (many.truth[many.verdicts == 'helps'] >= 0.1).mean() > 0.95 and not (many.truth[many.verdicts == 'harms'] > 1).any()
    few = gaussian((0.0, 1.0, 20.0), d=10, worlds=50)
    assert 0.5 < few.weight.mean() < many.weight.mean()
