"""A plan holds the solvers' results, in a table and a picture."""
import jax
import numpy as np
import pytest
import scipy.stats

from transfer_jax.debias import debias_gram
from transfer_jax.objective import predicted_error, single_source_quantity
from transfer_jax.planning import plan
from transfer_jax.quantities import transfer_quantities
from transfer_jax.runtime.errors import UserError
from transfer_jax.weights import source_weights

N0, SIZES = 100, np.array([1000, 500, 2000])
GRAM = np.array([[2e-3, 5e-4, 0], [5e-4, 1e-2, 0], [0, 0, 1.0]])


def test_it_holds_the_solvers_results():
    result = plan(N0, SIZES, GRAM)
    np.testing.assert_allclose(result.weights, source_weights(N0, SIZES, GRAM).weights)
    np.testing.assert_allclose(result.quantities, transfer_quantities(N0, SIZES, GRAM).quantities)
    np.testing.assert_allclose(result.errors['all sources'], predicted_error(N0, SIZES, GRAM), rtol=1e-6)
    np.testing.assert_allclose(result.errors['target only'], 1 / N0, rtol=1e-6)
    np.testing.assert_allclose(1 / result.errors['UOWQ'], N0 + result.worth, rtol=1e-5)
    assert result.errors['UOWQ'] <= result.errors['OTQMS'] <= min(result.errors['target only'], result.errors['all sources'])


def test_its_table_names_every_source_and_policy():
    text = str(plan(N0, SIZES, GRAM, names=['photos', 'sketches', 'noise']))
    for word in ('photos', 'sketches', 'noise', 'target only', 'all sources', 'OTQMS', 'UOWQ', 'more target samples; there are 100'):
        assert word in text
    assert len({len(line) for line in text.splitlines()[:4]}) == 1


def test_intervals_come_from_replicates():
    """Replicates that differ by a known amount: the jackknife's error of (R - 1) equal ones and one other."""
    replicates = np.repeat(GRAM[None], 10, 0)
    still = plan(N0, SIZES, GRAM, replicates=replicates)
    np.testing.assert_allclose(still.weight_intervals, np.stack([still.weights] * 2, -1), rtol=1e-5)
    variant = plan(N0, SIZES, GRAM, replicates=replicates * np.linspace(0.9, 1.1, 10)[:, None, None])
    inside = (variant.weight_intervals[:, 0] < variant.weights) & (variant.weights < variant.weight_intervals[:, 1])
    assert inside.all() and variant.worth_interval[0] < variant.worth < variant.worth_interval[1]
    assert str(variant).count(' to ') == 2 * len(SIZES) + 1


def test_quantities_have_the_intervals_of_their_closed_form():
    """One source, n* = N0 / (2 N0 G - 1): the jackknife by hand; and never more samples than there are."""
    gram, changes = np.array([[0.02]]), np.linspace(0.95, 1.05, 10)
    result = plan(N0, [1000], gram, replicates=gram * changes[:, None, None])
    exact = single_source_quantity(N0, 1000, 0.02 * changes)
    half = scipy.stats.t.ppf(0.975, 9) * 3 * np.std(exact)  # sqrt((R - 1) / R * R var) at R = 10
    np.testing.assert_allclose(result.quantity_intervals, [[result.quantities[0] - half, result.quantities[0] + half]], rtol=1e-4)
    tight = plan(N0, [35], gram, replicates=gram * changes[:, None, None])
    assert tight.quantity_intervals[0, 1] == 35 and tight.quantity_intervals[0, 0] < 35
    assert plan(N0, SIZES, GRAM).quantity_intervals is None


def test_replicates_are_debiased_as_the_gram_is():
    """All at once gives each one's own; equal replicates then leave intervals of no width, around the debiased plan."""
    rest = (N0, SIZES, 1000)
    replicates = debias_gram(np.repeat(GRAM[None] + 0.02, 10, 0), *rest)
    np.testing.assert_allclose(replicates[3], debias_gram(GRAM + 0.02, *rest), rtol=1e-4, atol=1e-7)
    result = plan(N0, SIZES, debias_gram(GRAM + 0.02, *rest), replicates=replicates)
    np.testing.assert_allclose(result.quantity_intervals, np.stack([result.quantities] * 2, -1), rtol=1e-3, atol=0.1)


def test_its_picture_is_drawn(tmp_path):
    plan(N0, SIZES, GRAM, replicates=np.stack([GRAM, GRAM * 1.1])).plot().savefig(tmp_path / 'plan.png')
    assert (tmp_path / 'plan.png').stat().st_size > 5000


def test_what_cannot_be_planned_is_refused():
    with pytest.raises(UserError, match='not symmetric positive semi-definite: the problem'):
        plan(N0, SIZES, -GRAM)
    with pytest.raises(ValueError, match='2 names for 3 sources'):
        plan(N0, SIZES, GRAM, names=['a', 'b'])


def test_a_target_and_a_source_without_samples_are_planned_for():
    result = plan(0, [1000, 0], GRAM[:2, :2], names=np.array(['one', 'none']))
    assert result.errors['target only'] == np.inf and np.isfinite(result.errors['UOWQ']) and result.variance[1] == np.inf
    assert 'nan' not in str(result) and result.plot()


def test_two_sources_of_one_name_are_refused():
    with pytest.raises(ValueError, match="'a' twice"):
        plan(N0, SIZES, GRAM, names=['a', 'b', 'a'])


def test_replicates_must_be_several_matrices():
    for replicates in (GRAM, GRAM[None]):
        with pytest.raises(ValueError, match='with R > 1'):
            plan(N0, SIZES, GRAM, replicates=replicates)


def test_a_float32_gram_of_low_rank_is_planned_in_float64_too():
    """Its rounding makes eigenvalues negative that float64 alone would not forgive."""
    a = np.random.default_rng(0).standard_normal((10, 3))
    with jax.enable_x64(True):
        assert plan(10, np.full(10, 100.0), (a @ a.T).astype(np.float32)).worth > 0
