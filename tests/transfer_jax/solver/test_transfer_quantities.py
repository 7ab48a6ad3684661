"""Optimal quantities: closed form, the published scan, an independent solver, ordering against weights, and hard Gram matrices."""
import jax
import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import KINDS, problems

from transfer_jax.objective import predicted_error, single_source_quantity
from transfer_jax.quantities import transfer_quantities
from transfer_jax.solver.solution import Status, check
from transfer_jax.weights import source_weights

FEW, COUNT = [1, 2, 5], 60  # sources and problems of most tests: each pair of numbers is a program of its own


def solve(target, sizes, gram, **options):
    """The Solution in float64, on the host."""
    with jax.enable_x64(True):
        return jax.device_get(transfer_quantities(*(np.asarray(x, np.float64) for x in (target, sizes, gram)), **options))


def error(target, gram, n):
    total = target + n.sum(-1)
    return 1 / total + np.einsum('...k,...kl,...l->...', n, gram, n) / total**2


def log_error(share, target, sizes, gram):
    return np.log(error(target, gram, share * sizes))


def violation(target, sizes, gram, n):
    """The optimality conditions of one problem in n, each relative to the size of its terms."""
    c = 0.5 + n @ gram @ n / (target + n.sum())
    slack = (gram @ n - c) / (np.abs(gram) @ n + c)
    share = np.divide(n, sizes, out=np.zeros_like(n), where=sizes > 0)
    return np.max(np.where(sizes > 0, np.abs(share - np.clip(share - slack, 0, 1)), 0))


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('sources', [*FEW, 20])
def test_every_kind_is_solved_and_certified(kind, sources):
    target, sizes, gram = problems(kind, sources, COUNT)
    result = check(solve(target, sizes, gram))
    assert (result.quantities >= 0).all() and (result.quantities <= sizes * (1 + 1e-12)).all()
    assert max(map(violation, target, sizes, gram, result.quantities)) <= 1e-10
    np.testing.assert_allclose(result.error, error(target, gram, result.quantities), rtol=1e-9)


def test_one_source_has_a_closed_form():
    target, sizes, gram = problems('plain', 1, COUNT)
    with jax.enable_x64(True):
        formula = np.asarray(single_source_quantity(target, sizes[:, 0], gram[:, 0, 0]))
    np.testing.assert_allclose(solve(target, sizes, gram).quantities[:, 0], formula, rtol=1e-9)
    assert 0 < np.mean(formula < sizes[:, 0]) < 1


def test_never_worse_than_the_best_of_many_searches():
    for kind in ('plain', 'rank half', 'mixed'):
        target, sizes, gram = problems(kind, 5, COUNT)
        result = solve(target, sizes, gram)
        starts = np.random.default_rng(0).random((5, 5))
        for i, problem in enumerate(zip(target[:6], sizes[:6], gram[:6], strict=True)):
            tries = [scipy.optimize.minimize(log_error, start, problem, bounds=[(0, 1)] * 5, method='L-BFGS-B') for start in starts]
            assert np.log(result.error[i]) <= min(one.fun for one in tries) + 1e-12


def test_the_published_scan_over_the_total_agrees():
    """For every total s, the best n of that sum; then the best s (arXiv:2502.04242), here for two sources on a fine grid."""
    target, sizes, gram = problems('plain', 2, COUNT)
    result = solve(target, sizes, gram)
    for i in range(10):
        grid = np.stack(np.meshgrid(*(np.linspace(0, size, 1000) for size in sizes[i]), indexing='ij'), -1)
        scan = error(target[i], gram[i], grid).min()
        assert result.error[i] <= scan * (1 + 1e-12) and scan <= result.error[i] * 1.01


@settings(max_examples=30, deadline=None)
@given(sources=st.sampled_from(FEW), seed=st.integers(0, 10**6), kind=st.sampled_from(KINDS))
def test_weights_beat_quantities_which_beat_target_only_and_all(sources, seed, kind):
    target, sizes, gram = problems(kind, sources, COUNT, seed)
    result = solve(target, sizes, gram)
    with jax.enable_x64(True):
        weights_error = np.asarray(source_weights(target, sizes, gram).error)
        everything = np.asarray(predicted_error(target, sizes, gram))
    assert (weights_error <= result.error * (1 + 1e-9)).all()
    assert (result.error <= np.minimum(1 / target, everything) * (1 + 1e-9)).all()
    order = np.random.default_rng(seed).permutation(sources)
    variant = solve(target, sizes[:, order], gram[:, order][:, :, order])
    np.testing.assert_allclose(variant.quantities.sum(1), result.quantities.sum(1), rtol=1e-6)
    np.testing.assert_allclose(variant.error, result.error, rtol=1e-10)


def test_whole_samples_stay_beside_the_optimum():
    target, sizes, gram = problems('plain', 5, COUNT)
    exact, whole = solve(target, sizes, gram), solve(target, sizes, gram, integer=True)
    assert (whole.quantities == np.round(whole.quantities)).all() and (whole.quantities <= sizes).all()
    assert np.abs(whole.quantities - exact.quantities).max() <= 1
    assert np.abs(whole.quantities.sum(1) - exact.quantities.sum(1)).max() <= 0.5 + 1e-6
    np.testing.assert_allclose(whole.error, error(target, gram, whole.quantities), rtol=1e-12)


def test_without_a_target_sample_the_sources_are_still_weighed():
    _, sizes, gram = problems('plain', 5, COUNT)
    result = check(solve(np.zeros(COUNT), sizes, gram))
    assert (result.quantities.sum(1) > 0).all()


def test_bad_problems_have_a_status_and_spoil_no_neighbour():
    target, sizes, gram = problems('plain', 5, COUNT)
    good = solve(target, sizes, gram)
    gram[1, 0, 0], sizes[3, 2] = np.nan, -4
    result = solve(target, sizes, gram)
    assert result.status.tolist() == [0, Status.NOT_FINITE, 0, Status.NEGATIVE_SIZE] + [0] * (COUNT - 4)
    np.testing.assert_array_equal(*(np.delete(solution.quantities, [1, 3], 0) for solution in (result, good)))
    assert np.isnan(result.quantities[[1, 3]]).all()


def test_float32_solves_benign_problems_and_the_status_names_the_others():
    for kind in KINDS:
        target, sizes, gram = (x.astype(np.float32) for x in problems(kind, 5, COUNT))
        result, truth = jax.device_get(transfer_quantities(target, sizes, gram)), solve(target, sizes, gram)
        fine = (result.status == Status.SOLVED) & (truth.status == Status.SOLVED)
        assert result.quantities.dtype == np.float32
        benign = kind in ('plain', 'diagonal', 'zero', 'tiny')
        np.testing.assert_allclose(result.error[fine], truth.error[fine], rtol=1e-5 if benign else 1e-3)  # F itself cancels in float32
        assert not benign or fine.mean() > 0.9


def test_a_gram_that_is_indefinite_though_every_two_sources_look_fine_is_refused():
    bad = np.array([[1, .9, -.9], [.9, 1, .9], [-.9, .9, 1]])
    result = solve(10, np.full(3, 100.0), np.stack([bad, np.eye(3), np.zeros((3, 3)), np.ones((3, 3))]))
    assert result.status.tolist() == [Status.NOT_PSD, Status.SOLVED, Status.SOLVED, Status.SOLVED]
