"""The laws against scipy's distributions: quantiles, densities, Kolmogorov-Smirnov, stratification, and one compilation for all."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats as st

from tqd_jax.timesteps.density import mean_density
from tqd_jax.timesteps.law import BINS, Base, beta_quantile, log_prob, make_law, sample_timesteps, stratified_uniforms

N = 20_000
SKEWED = tuple(np.exp(-np.arange(12) / 4.0))


def logit(t):
    return np.log(t) - np.log1p(-t)


def shifted(base, shift):
    """CDF of shift s / (1 + (shift - 1) s), s from a scipy law."""
    return lambda t: base.cdf(t / (shift - (shift - 1) * t))


def histogram_cdf(density):
    knots = np.concatenate([[0], np.cumsum(density)]) / np.sum(density)
    return lambda t: np.interp(t, np.linspace(0, 1, len(density) + 1), knots)


CASES = {
    'uniform': ({}, st.uniform.cdf),
    'beta': (dict(alpha=5.1, beta=0.9), st.beta(5.1, 0.9).cdf),
    'divergent beta': (dict(alpha=0.4, beta=7.6), st.beta(0.4, 7.6).cdf),
    'logit-normal': (dict(base=Base(loc=0.3, scale=1.2)), lambda t: st.norm.cdf((logit(t) - 0.3) / 1.2)),
    'shift': (dict(shift=3.0), shifted(st.uniform, 3.0)),
    'tilted logit-normal': (dict(alpha=3.0, beta=1.5, base=Base(scale=1.0)), lambda t: st.beta(3.0, 1.5).cdf(st.norm.cdf(logit(t)))),
    'minimum noise': (dict(t_min=0.4, base=Base(scale=1.0)), lambda t: np.maximum(1 - st.norm.sf(logit(t)) / st.norm.sf(logit(0.4)), 0)),
    'minimum noise after a shift': (dict(t_min=0.4, shift=2.0), lambda t: np.maximum(t / (2 - t) - 0.25, 0) / 0.75),
    'table': (dict(base=Base(density=SKEWED)), histogram_cdf(SKEWED)),
    'table with a hole': (dict(base=Base(density=(1.0, 0.0, 0.0, 2.0))), histogram_cdf((1.0, 0.0, 0.0, 2.0))),
}


@pytest.mark.parametrize('name', CASES)
def test_draws_follow_the_law(name):
    arguments, cdf = CASES[name]
    levels = jax.random.uniform(jax.random.key(1), (N,), minval=1e-7)
    t = np.asarray(jax.jit(sample_timesteps)(make_law(N, **arguments), levels), np.float64)
    assert t.min() >= 0 and t.max() <= 1
    assert st.kstest(np.clip(t, 1e-12, 1 - 1e-7), cdf).pvalue > 1e-3


@pytest.mark.parametrize('name', CASES)
def test_the_density_integrates_to_the_cdf(name):
    arguments, cdf = CASES[name]
    edges = np.linspace(0, 1, 121)
    nodes, weights = np.polynomial.legendre.leggauss(16)
    t = ((edges[:-1, None] + edges[1:, None]) / 2 + nodes * np.diff(edges)[:, None] / 2).astype(np.float32)
    density = np.exp(np.asarray(log_prob(make_law(t.size, **arguments), jnp.asarray(t.ravel())), np.float64)).reshape(t.shape)
    mass = (density * weights).sum(1) * np.diff(edges) / 2
    inner = slice(2, -2)  # a divergent density has its mass at the very ends, where no quadrature rule of polynomials holds
    np.testing.assert_allclose(mass[inner], np.diff(cdf(np.clip(edges, 1e-12, 1 - 1e-12)))[inner], rtol=2e-4, atol=2e-6)
    if name != 'divergent beta':
        assert mass.sum() == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize(('a', 'b'), [(1, 1), (5.1, 0.9), (0.4, 7.6), (0.2, 0.2), (60, 3)])
def test_beta_matches_scipy(a, b):
    v = np.linspace(1e-4, 1 - 1e-4, 501).astype(np.float32)
    full = lambda x: jnp.full(v.shape, x, jnp.float32)
    t = np.asarray(jax.jit(beta_quantile)(jnp.asarray(v), full(a), full(b)), np.float64)
    ulp = np.abs(st.beta.cdf(np.minimum(t + 6e-8, 1), a, b) - st.beta.cdf(np.maximum(t - 6e-8, 0), a, b))  # t itself is a float32
    assert (np.abs(st.beta.cdf(t, a, b) - v) <= 5e-5 + ulp).all()
    inside = (t > 1e-6) & (t < 1 - 1e-4)
    density = np.asarray(log_prob(make_law(v.size, alpha=a, beta=b), jnp.asarray(t, jnp.float32)))
    np.testing.assert_allclose(density[inside], st.beta.logpdf(t[inside], a, b), rtol=1e-3, atol=1e-3)


def test_the_base_is_recovered_exactly_without_a_tilt():
    v = jnp.linspace(1e-6, 1 - 1e-6, 4097, dtype=jnp.float32)
    np.testing.assert_allclose(sample_timesteps(make_law(v.size), v), v, rtol=1e-6, atol=1e-7)
    logit_normal = sample_timesteps(make_law(v.size, base=Base(loc=-0.5, scale=0.7)), v)
    np.testing.assert_allclose(logit_normal, jax.nn.sigmoid(-0.5 + 0.7 * jax.scipy.special.ndtri(v)), rtol=1e-6)


def test_a_shift_is_a_logit_offset():
    v = jnp.linspace(0.01, 0.99, 99, dtype=jnp.float32)
    moved, still = (np.asarray(sample_timesteps(make_law(99, base=Base(scale=1.0), shift=s), v)) for s in (np.exp(1.1), 1.0))
    np.testing.assert_allclose(logit(moved) - logit(still), 1.1, rtol=2e-5)


def test_uniforms_are_stratified_and_uniform():
    size = 64
    draw = jax.jit(jax.vmap(lambda key: stratified_uniforms(key, jax.random.uniform(jax.random.fold_in(key, 1), (size,)))))
    uniforms = np.asarray(draw(jax.random.split(jax.random.key(0), 500)))
    assert (np.sort((uniforms * size).astype(int), axis=1) == np.arange(size)).all()
    assert st.kstest(uniforms[:, 7], st.uniform.cdf).pvalue > 1e-3


def test_one_compilation_serves_every_law():
    traces = []
    draw = jax.jit(lambda law, v: (traces.append(1), sample_timesteps(law, v))[1])
    for arguments, _ in CASES.values():
        draw(make_law(8, **arguments), jnp.full((8,), 0.3, jnp.float32))
    assert len(traces) == 1


@pytest.mark.parametrize('bad', [dict(alpha=0.0), dict(beta=-1.0), dict(shift=0.0), dict(t_min=1.0), dict(alpha=np.nan)])
def test_impossible_laws_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        make_law(4, **bad)


@pytest.mark.parametrize('bad', [dict(scale=-1.0), dict(density=()), dict(density=(1.0, -1.0)), dict(density=(0.0, 0.0)), dict(loc=np.inf)])
def test_impossible_bases_are_refused(bad):
    with pytest.raises(ValueError, match='needs'):
        Base(**bad)


def test_a_histogram_is_kept_exactly():
    density = np.array([1.0, 3.0, 2.0])
    t = jnp.asarray([0.1, 0.5, 0.9], jnp.float32)
    np.testing.assert_allclose(np.exp(log_prob(make_law(3, base=Base(density=tuple(density))), t)), density / 2, rtol=1e-5)
    assert BINS % 10 == 0  # the evaluation's noise buckets


def test_a_mean_density_given_a_range_is_that_of_draws_in_it():
    law = make_law(2, alpha=np.array([2.0, 1.0]), beta=np.array([1.0, 3.0]))
    laws_of = lambda rows: jax.tree.map(lambda leaf: np.asarray(leaf)[rows], law)
    t = (np.arange(200) + 0.5) / 200
    density = mean_density(laws_of, np.arange(2), np.array([1.0, 3.0]), t, (0.6, 1.0))
    first, second = 2 * t / (1 - 0.6**2), 3 * (1 - t)**2 / 0.4**3  # of Beta(2, 1) and Beta(1, 3), given t >= 0.6
    np.testing.assert_allclose(density, np.where(t > 0.6, (first + 3 * second) / 4, 0), rtol=1e-4)
    np.testing.assert_allclose(density.mean(), 1, atol=5e-3)
