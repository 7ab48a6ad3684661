"""Laws given a range of t: masses and draws against closed forms, ranges that add up, and laws that have nothing there."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats as st

from tqd_jax.timesteps.between import mass_between, sample_between
from tqd_jax.timesteps.law import Base, cdf, make_law, sample_timesteps
from tqd_jax.timesteps.shift import token_shift

N = 20_000
LOGIT = lambda t: np.log(t) - np.log1p(-t)
KNOTS = lambda t: np.interp(t, [0, 0.25, 0.5, 0.75, 1], [0, 0.1, 0.1, 0.4, 1])
LAWS = {  # arguments of make_law, its CDF
    'uniform': ({}, lambda t: t),
    'beta': (dict(alpha=5.1, beta=0.9), st.beta(5.1, 0.9).cdf),
    'divergent beta': (dict(alpha=0.4, beta=7.6), st.beta(0.4, 7.6).cdf),
    'logit-normal, shifted': (dict(base=Base(loc=0.3, scale=1.2), shift=3.0), lambda t: st.norm.cdf((LOGIT(t / (3 - 2 * t)) - 0.3) / 1.2)),
    'tilted logit-normal': (dict(alpha=3.0, beta=1.5, base=Base(scale=1.0)), lambda t: st.beta(3.0, 1.5).cdf(st.norm.cdf(LOGIT(t)))),
    'minimum noise after a shift': (dict(t_min=0.4, shift=2.0), lambda t: np.maximum(t / (2 - t) - 0.25, 0) / 0.75),
    'table with a hole': (dict(base=Base(density=(1.0, 0.0, 3.0, 6.0))), KNOTS),
}
RANGES = [(0.0, 0.875), (0.875, 1.0), (0.3, 0.6)]


@pytest.mark.parametrize('name', LAWS)
def test_the_cdf_is_the_closed_form_and_undoes_the_quantile(name):
    arguments, exact = LAWS[name]
    t = np.linspace(1e-3, 1 - 1e-3, 200, dtype=np.float32)
    law = make_law(200, **arguments)
    np.testing.assert_allclose(cdf(law, t), exact(np.float64(t)), atol=1e-5)
    levels = jnp.linspace(0.01, 0.99, 200, dtype=jnp.float32)
    np.testing.assert_allclose(cdf(law, sample_timesteps(law, levels)), levels, atol=1e-4)
    for end in (0.0, 1.0):
        np.testing.assert_allclose(cdf(law, np.full(200, end, np.float32)), end, atol=1e-6)


@pytest.mark.parametrize('bounds', RANGES)
@pytest.mark.parametrize('name', LAWS)
def test_draws_follow_the_law_given_the_range(name, bounds):
    arguments, exact = LAWS[name]
    lo, hi = bounds
    law, levels = make_law(N, **arguments), jax.random.uniform(jax.random.key(1), (N,), minval=1e-7)
    t = np.asarray(jax.jit(lambda law, levels: sample_between(law, levels, lo, hi))(law, levels), np.float64)
    with np.errstate(divide='ignore'):  # the logit of 0 and of 1
        below, above = exact(np.array(bounds))
    assert np.float32(lo) <= t.min() and t.max() <= np.float32(hi)
    np.testing.assert_allclose(mass_between(law, lo, hi), above - below, atol=1e-5)
    assert above - below < 1e-5 or st.kstest(np.clip(t, 1e-12, 1 - 1e-7), lambda t: (exact(t) - below) / (above - below)).pvalue > 1e-3


@pytest.mark.parametrize('name', LAWS)
def test_the_masses_of_two_experts_are_the_whole(name):
    law = make_law(3, **LAWS[name][0])
    np.testing.assert_allclose(mass_between(law, 0.0, 0.875) + mass_between(law, 0.875, 1.0), 1, atol=1e-6)


@pytest.mark.parametrize(('t_min', 'bounds', 'end'), [(0.9, (0.0, 0.875), 0.875), (0.5, (0.1, 0.4), 0.4)])
def test_a_law_without_mass_in_the_range_has_draws_on_the_nearer_end(t_min, bounds, end):
    law = make_law(5, t_min=t_min)
    np.testing.assert_array_equal(mass_between(law, *bounds), 0)
    np.testing.assert_array_equal(sample_between(law, jnp.linspace(0.1, 0.9, 5), *bounds), np.float32(end))


def test_two_experts_that_draw_by_mass_learn_what_one_model_learns():
    """sum over ranges of P(range) E[f(t) | range] is E[f(t)], here of a clip's own law and f = t^2."""
    levels, law = jnp.asarray((np.arange(N) + 0.5) / N, jnp.float32), make_law(N, alpha=3.0, beta=1.5, base=Base(scale=1.0), shift=2.0)
    parts = [mass_between(law, *bounds)[0] * jnp.mean(sample_between(law, levels, *bounds)**2) for bounds in RANGES[:2]]
    assert float(sum(parts)) == pytest.approx(float(jnp.mean(sample_timesteps(law, levels)**2)), rel=1e-4)


def test_a_shift_by_tokens_goes_through_its_points_and_is_a_power_between_and_beyond():
    assert token_shift(4290) == pytest.approx(3) and token_shift(23000) == pytest.approx(6)
    assert token_shift(round((4290 * 23000)**0.5)) == pytest.approx(18**0.5, rel=1e-4)
    assert token_shift(400, low=(100, 1.0), high=(200, 2.0)) == pytest.approx(4)


@pytest.mark.parametrize('bad', [dict(tokens=0), dict(tokens=10, low=(100, -1.0)), dict(tokens=10, low=(100, 1.0), high=(100, 2.0))])
def test_impossible_shifts_by_tokens_are_refused(bad):
    with pytest.raises(ValueError, match='positive numbers and two points apart'):
        token_shift(**bad)
