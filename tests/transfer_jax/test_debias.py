"""Debiasing against Monte Carlo: Gaussian means, whose estimates and Fisher information are known exactly."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from transfer_jax.debias import debias_gram, gram_uncertainty, project_psd, split_half_noise
from transfer_jax.fisher import fisher_gram
from transfer_jax.shrinkage import mixing_weight, random_effects, with_optimum
from transfer_jax.weights import source_weights

N0, SIZES = 40, np.array([100, 200, 400])


def estimates(rng, d, deltas):
    """G^ [K, K] of estimated means in d dimensions, unit variance: J is the identity."""
    ours = rng.standard_normal(d) / N0**0.5
    theirs = deltas + rng.standard_normal(deltas.shape) / SIZES[:, None] ** 0.5
    return (theirs - ours) @ (theirs - ours).T / d


def risk_of(gram, errors, sizes, target_size):
    """Squared error of the weighted fit over target-only's expected one, from second moments of eps_0 and Delta^ [runs, 1 + K, 1 + K]."""
    u = np.asarray(source_weights(target_size, sizes, gram).effective_sizes, float)
    v = np.concatenate([np.ones((len(u), 1)), u / (target_size + u.sum(1, keepdims=True))], 1)
    return target_size * np.sum((v[:, None] @ errors)[:, 0] * v, 1)


def draw_errors(rng, runs, d, mixing, target_size, sizes):
    """Such second moments of Gaussian means, whose biases are mixing z with z [R, d] standard normal."""
    target = rng.standard_normal((runs, 1, d)) / target_size**0.5
    own = rng.standard_normal((runs, len(sizes), d)) / sizes[:, None] ** 0.5
    rows = np.concatenate([target, mixing @ rng.standard_normal((runs, mixing.shape[1], d)) + own - target], 1)
    return rows @ rows.swapaxes(1, 2) / d


def test_one_source_without_noise_gives_james_and_steins_positive_part():
    d, runs = 8, 40000
    rng = np.random.default_rng(0)
    for bias in (0.0, 4.0):
        target = rng.standard_normal((runs, d))
        rows = np.stack([target, bias**0.5 - target], 1)
        errors = rows @ rows.swapaxes(1, 2) / d
        sizes = np.full(1, 1e9)
        result = risk_of(debias_gram(errors[:, 1:, 1:], 1, sizes, d), errors, sizes, 1)
        law = scipy.stats.ncx2(d, d * bias) if bias else scipy.stats.chi2(d)
        # Stein's lemma: with Z = |theta^_1 - theta^_0|^2 N0 the risk is E[Z - d where Z < d, else d - d (d - 4) / Z]
        risk = law.expect(lambda z: z - d, ub=d) + law.expect(lambda z: d - d * (d - 4) / z, lb=d)
        assert abs(result.mean() - risk / d) < 4 * result.std() / runs**0.5


@pytest.mark.parametrize('d', [3, 6, 30])
@pytest.mark.parametrize('levels', [[100] * 5, [7, 30, 500, 7, 30]])
def test_bad_sources_never_cost_more_than_one_percent(d, levels):
    runs = 10000
    sizes = np.full(len(levels), 10.0)
    for mixing in (np.diag(np.sqrt(levels)), np.sqrt(levels)[:, None]):  # a bias each; one shared
        errors = draw_errors(np.random.default_rng([1, d]), runs, d, mixing, 1, sizes)
        worse = risk_of(debias_gram(errors[:, 1:, 1:], 1, sizes, d), errors, sizes, 1) - errors[:, 0, 0]
        assert worse.mean() < 0.01 + 3 * worse.std() / runs**0.5


@pytest.mark.parametrize('mixing', [np.diag([0.0, 4, 4, 4, 4]), np.diag([0.3, 0.6, 1, 2, 3]), np.array([[0.0], [2], [2], [2], [2]])])
def test_with_a_thousand_parameters_the_truth_is_hardly_better(mixing):
    runs, d, sizes = 200, 1000, np.full(5, 10.0)
    errors = draw_errors(np.random.default_rng(2), runs, d, mixing, 1, sizes)
    truth = np.broadcast_to(mixing @ mixing.T, (runs, 5, 5))
    ours, best, raw = (risk_of(gram, errors, sizes, 1) for gram in (
        debias_gram(errors[:, 1:, 1:], 1, sizes, d), truth, errors[:, 1:, 1:]))
    excess = ours - 1.06 * best
    assert excess.mean() < 3 * excess.std() / runs**0.5
    assert ours.mean() < raw.mean() / 2


def test_the_risk_that_chooses_is_unbiased():
    rng, d, runs = np.random.default_rng(3), 30, 20000
    mixing, sizes, v = np.diag([0.5, 1.0, 2.0]), np.array([5.0, 10, 40]), np.array([0.3, 0.1, 0.2])
    errors = draw_errors(rng, runs, d, mixing, 1, sizes)
    both = np.concatenate([[1.0], v])
    estimate = np.einsum('k,bkl,l->b', v, errors[:, 1:, 1:], v) + 1 - 2 * v.sum()  # what trust takes the step of
    gap = estimate - np.einsum('k,bkl,l->b', both, errors, both)
    assert abs(gap.mean()) < 4 * gap.std() / runs**0.5
    simple, full = jnp.asarray(rng.uniform(0, 0.3, (2, runs, 3)), jnp.float32)
    gram = jnp.asarray(errors[:, 1:, 1:], jnp.float32)
    part = mixing_weight(gram, simple, full, jnp.zeros(runs), jnp.ones(runs))
    mixes = np.linspace(0, 1, 101)
    shares = np.asarray(simple)[:, None] + mixes[:, None] * np.asarray(full - simple)[:, None]
    risks = np.einsum('btk,bkl,btl->bt', shares, errors[:, 1:, 1:], shares) - 2 * shares.sum(-1)
    np.testing.assert_allclose(part, mixes[risks.argmin(1)], atol=0.0051)


def test_the_fit_recovers_the_model_where_it_holds():
    truth, d = 0.5 + np.diag([0.2, 1.0, 3.0, 0.1]), 200000
    rows = np.random.default_rng(4).multivariate_normal(np.zeros(4), truth + 0.25 + 0.1 * np.eye(4), d)
    gram = jnp.asarray(rows.T @ rows / d, jnp.float32)[None]
    result = random_effects(gram, jnp.full(1, 0.25), jnp.full((1, 4), 0.1), jnp.ones((1, 4), bool))[0]
    np.testing.assert_allclose(result, truth, atol=0.03)


def test_the_bent_matrix_has_these_weights_and_stays_semi_definite():
    rng = np.random.default_rng(5)
    a, sizes = rng.standard_normal((20, 4, 6)).astype(np.float32), np.full((20, 4), 5.0, np.float32)
    u = rng.uniform(0.5, 4.5, (20, 4)).astype(np.float32) * np.array([1, 1, 1, 0], np.float32)
    bent = np.asarray(with_optimum(jnp.asarray(a @ a.swapaxes(1, 2)), jnp.asarray(sizes), jnp.asarray(u)))
    np.testing.assert_allclose(source_weights(1, sizes, bent).effective_sizes, u, rtol=1e-3, atol=1e-3)
    assert np.linalg.eigvalsh(bent).min() > -1e-5


def test_units_and_order_change_nothing_else():
    errors = draw_errors(np.random.default_rng(6), 5, 20, np.diag([0.3, 1.0, 3.0]), 1, np.array([5.0, 10, 40]))[:, 1:, 1:]
    sizes, order = np.array([5.0, 10, 40]), np.array([2, 0, 1])
    one = np.asarray(debias_gram(errors, 1, sizes, 20))
    np.testing.assert_allclose(debias_gram(errors / 64, 64, 64 * sizes, 20), one / 64, rtol=1e-3, atol=1e-6)
    swap = debias_gram(errors[:, order][:, :, order], 1, sizes[order], 20)
    np.testing.assert_allclose(swap, one[:, order][:, :, order], rtol=1e-3, atol=1e-4)
    in_jit = jax.jit(debias_gram, static_argnums=3)(errors, 1.0, sizes, 20)
    np.testing.assert_allclose(in_jit, one, rtol=1e-3, atol=1e-5)


def test_noise_replaces_the_sizes_and_batches_broadcast():
    rng = np.random.default_rng(2)
    raw = np.stack([estimates(rng, 50, rng.standard_normal((3, 50))) for _ in range(4)])
    one = debias_gram(raw, N0, SIZES, 50)
    np.testing.assert_allclose(debias_gram(raw, 1, np.ones(3), 50, noise=(1 / N0, 1 / SIZES)), one, rtol=1e-5)
    np.testing.assert_allclose(one[2], debias_gram(raw[2], N0, SIZES, 50), rtol=1e-4, atol=1e-6)
    wide = debias_gram(raw[:, None], np.full((1, 2), N0), SIZES, 50)
    assert wide.shape == (4, 2, 3, 3)
    np.testing.assert_allclose(wide[:, 1], one, rtol=1e-4, atol=1e-6)


def test_float64_stays_float64():
    errors = draw_errors(np.random.default_rng(8), 2, 20, np.eye(2), 1, np.array([5.0, 10]))[:, 1:, 1:]
    single = debias_gram(errors, 1, np.array([5.0, 10]), 20)
    with jax.enable_x64(True):
        double = debias_gram(errors, 1, np.array([5.0, 10]), 20)
    assert (single.dtype, double.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(single, double, rtol=1e-3, atol=1e-5)


def test_sources_and_targets_without_samples_or_without_noise_leave_no_nan():
    raw = estimates(np.random.default_rng(7), 50, np.ones((3, 50)))
    for target, sizes, noise in ((N0, np.array([0, 200, 400]), None), (0, SIZES, None), (N0, SIZES, (0.0, np.zeros(3)))):
        with np.errstate(divide='ignore'):
            gram = debias_gram(raw, target, sizes, 50, noise=noise)
        weights = source_weights(N0, sizes, gram)
        assert (weights.status == 0).all() and np.isfinite(weights.weights).all()


def test_the_projection_is_the_nearest_and_leaves_the_definite_alone():
    rng = np.random.default_rng(3)
    a = rng.standard_normal((5, 4, 4)).astype(np.float32)
    definite = a @ a.swapaxes(1, 2)
    np.testing.assert_allclose(project_psd(definite), definite, rtol=1e-4, atol=1e-4)
    symmetric = a + a.swapaxes(1, 2)
    rest = np.asarray(project_psd(symmetric)) - symmetric  # the other part of a Moreau decomposition: PSD and orthogonal
    assert np.linalg.eigvalsh(rest).min() > -1e-4
    assert np.abs(np.einsum('bkl,bkl->b', rest, project_psd(symmetric))).max() < 1e-3


def gaussian(mean, x):
    """Outputs whose unit-variance Fisher information is the identity."""
    return mean + 0 * x


def test_split_halves_measure_the_noise_of_the_whole():
    rng, d, n = np.random.default_rng(4), 4000, 64
    a, b = (rng.standard_normal(d) / (n / 2) ** 0.5 for _ in range(2))
    noise = split_half_noise(gaussian, jnp.zeros(d), jnp.asarray(a - b, jnp.float32), jnp.zeros((5, d)), kind='gauss_newton')
    np.testing.assert_allclose(noise, 1 / n, rtol=5 * (2 / d) ** 0.5)  # a chi-square over d: five standard deviations


def linear(params, x):
    return params @ x


def test_the_jackknife_tells_the_spread_over_examples():
    rng, runs, n = np.random.default_rng(5), 150, 60
    params, deltas = jnp.zeros((2, 3)), jnp.asarray(rng.standard_normal((2, 2, 3)), jnp.float32)
    batches = rng.standard_normal((runs, n, 3)).astype(np.float32)
    grams = np.asarray(jax.lax.map(lambda batch: fisher_gram(linear, params, deltas, batch), batches))
    errors = np.asarray(jax.lax.map(lambda batch: gram_uncertainty(linear, params, deltas, batch, folds=20)[0], batches[:40]))
    np.testing.assert_allclose(np.sqrt((errors**2).mean(0)), grams.std(0), rtol=0.3)
    error, replicates = gram_uncertainty(linear, params, deltas, batches[0], folds=60)
    leave_one = fisher_gram(linear, params, deltas, batches[0][1:])
    np.testing.assert_allclose(replicates[0], leave_one, rtol=1e-4, atol=1e-6)
    assert error.shape == (2, 2)


def test_more_folds_than_examples_are_refused():
    with pytest.raises(ValueError, match='5 examples cannot be cut into 20 folds'):
        gram_uncertainty(linear, jnp.zeros((2, 3)), jnp.zeros((1, 2, 3)), jnp.zeros((5, 3)))


def test_a_source_without_samples_gets_the_weight_that_its_first_would_and_troubles_nobody():
    gram = np.array([[0.05, 0.03], [0.03, 0.08]])
    empty, one = (source_weights(40, sizes, debias_gram(gram, 40, sizes, 36)).weights for sizes in ([0, 400], [1, 400]))
    assert empty[0] > 0.5
    np.testing.assert_allclose(empty, one, atol=0.05)


def test_one_diverged_source_does_not_make_the_others_look_perfect():
    gram = np.array([[0.05, 0.03, 0], [0.03, 0.08, 0], [0, 0, 1e6]])
    far = gram.copy()
    far[2, 2] = 1e10
    close, further = (source_weights(40, [400] * 3, debias_gram(g, 40, [400] * 3, 1000)).weights for g in (gram, far))
    assert close[2] < 1e-6
    np.testing.assert_allclose(further, close, atol=1e-3)


def test_noise_that_is_no_noise_is_not_passed_over():
    gram = np.array([[0.05, 0.03], [0.03, 0.08]])
    for noise in ((np.nan, [0.0025] * 2), (0.025, [np.nan, 0.0025]), (-0.025, [0.0025] * 2)):
        assert not np.isfinite(debias_gram(gram, 40, [400, 400], 36, noise=noise)).all()
    with pytest.raises(ValueError, match='d one number'):
        debias_gram(gram, 40, [400, 400], [36, 40])
    with pytest.raises(ValueError, match='at least one source'):
        debias_gram(gram[:, :1], 40, [400, 400], 36)
