"""mq, vq -> Law: the paper's moments, limits and symmetries."""
import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from tqd_jax.timesteps.acceptance import acceptance_probability
from tqd_jax.timesteps.density import CHUNK, mean_density
from tqd_jax.timesteps.law import Base, log_prob, make_law, sample_timesteps
from tqd_jax.timesteps.quadrants import quadrant
from tqd_jax.timesteps.quality import LAWS, LawConfig, law_from_quality
from tqd_jax.timesteps.tqd import tqd_parameters

UNIFORMS = (np.arange(4000) + 0.5) / 4000


def mean_t(mq, vq, config):
    size = UNIFORMS.size
    law = law_from_quality(np.full(size, mq), np.full(size, vq), config)
    return float(np.mean(sample_timesteps(law, jnp.asarray(UNIFORMS, jnp.float32))))


def test_the_mean_of_the_beta_law_is_mu():
    for mq, vq in [(0.9, 0.3), (0.2, 0.7), (0.5, 0.5)]:
        assert mean_t(mq, vq, LawConfig()) == pytest.approx(0.5 + 0.5 * (mq - vq), abs=1e-3)


def test_kappa_is_the_concentration():
    alpha, beta = tqd_parameters(np.array([0.9]), np.array([0.3]), 2.0, 8.0)
    assert alpha + beta == pytest.approx(2 + 6 * 0.6) and alpha / (alpha + beta) == pytest.approx(0.8)


def test_the_smaller_parameter_is_bounded():
    alpha, beta = tqd_parameters(np.array([1.0, 0.0]), np.array([0.0, 1.0]), 2.0, 8.0, 0.2)
    np.testing.assert_allclose([alpha[1], beta[0]], 0.2)


@pytest.mark.parametrize('kind', ['beta', 'exact_base', 'offset'])
def test_motion_teaches_the_noisy_timesteps_and_swapping_the_scores_mirrors_the_law(kind):
    config = LawConfig(kind=kind, base=Base(scale=1.0) if kind != 'beta' else Base())
    moving, looking = mean_t(0.9, 0.2, config), mean_t(0.2, 0.9, config)
    assert moving > 0.6 and moving + looking == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize('base', [Base(), Base(loc=0.2, scale=1.0), Base(density=(1.0, 2.0, 3.0))])
def test_equal_scores_recover_the_base_law(base):
    t, scores = jnp.linspace(0.05, 0.95, 19, dtype=jnp.float32), np.full(19, 0.7)
    config = LawConfig(kind='exact_base', base=base, shift=2.0)
    plain = dataclasses.replace(config, kind='uniform')
    of = lambda c: log_prob(law_from_quality(scores, scores, c), t)
    np.testing.assert_array_equal(of(config), of(plain))


def test_minimum_noise_leaves_good_looks_alone():
    config = LawConfig(kind='min_noise', strength=0.6)
    law = law_from_quality(np.full(2, 0.5), np.array([1.0, 0.0]), config)
    np.testing.assert_allclose(sample_timesteps(law, jnp.full(2, 1e-6, jnp.float32)), [0, 0.6], atol=1e-5)


def test_thresholds_say_what_is_good_at_motion_and_at_looks():
    """Of a uniform base the median is 1/2: raised by the offset from mq = .9 on, lowered from vq = .8 on, and both together."""
    mq, vq = np.array([0.9, 0.89, 0.2, 1.0]), np.array([0.1, 0.79, 0.8, 1.0])
    config = LawConfig(kind='thresholds', motion_threshold=0.9, visual_threshold=0.8, offset=1.1)
    median = sample_timesteps(law_from_quality(mq, vq, config), jnp.full(4, 0.5, jnp.float32))
    up = 1 / (1 + np.exp(-1.1))
    np.testing.assert_allclose(median, [up, 0.5, 1 - up, 0.5], rtol=1e-6)
    halves = dataclasses.replace(config, motion_threshold=0.5, visual_threshold=0.5)
    same = law_from_quality(mq, vq, halves), law_from_quality(mq, vq, LawConfig(kind='offset', offset=1.1))
    np.testing.assert_array_equal(*(law.shift for law in same))


def test_a_new_law_is_a_function_and_a_line_in_the_table(monkeypatch):
    monkeypatch.setitem(LAWS, 'late', lambda mq, vq, *, strength: make_law(mq.size, t_min=strength * mq))
    law = law_from_quality([0.0, 1.0], [0.5, 0.5], LawConfig(kind='late'))
    np.testing.assert_allclose(sample_timesteps(law, jnp.full(2, 1e-6, jnp.float32)), [0, 0.5], atol=1e-5)


def test_poor_clips_are_dropped_and_good_ones_kept():
    np.testing.assert_allclose(acceptance_probability([0.1, 0.9, 1.0], [0.2, 0.1, 1.0]), [0.2, 0.9, 1.0])


def test_quadrants():
    assert quadrant([0.1, 0.1, 0.9, 0.9], [0.1, 0.9, 0.1, 0.9]).tolist() == [0, 1, 2, 3]


def test_bad_scores_and_configs_are_refused():
    with pytest.raises(ValueError, match=r'\[0, 1\], got'):
        law_from_quality([0.5, np.nan], [0.5, 0.5], LawConfig())
    with pytest.raises(ValueError, match='one of'):
        LawConfig(kind='gamma')
    with pytest.raises(ValueError, match='kappa_base'):
        LawConfig(kappa_base=9.0)


READS = {'uniform': {'base', 'shift'}, 'beta': {'shift', 'kappa_base', 'kappa_max', 'min_parameter'},
         'exact_base': {'base', 'shift', 'kappa_max', 'min_parameter'}, 'offset': {'base', 'shift', 'offset'},
         'thresholds': {'base', 'shift', 'offset', 'motion_threshold', 'visual_threshold'}, 'min_noise': {'base', 'shift', 'strength'}}
OTHER = {'base': Base(loc=0.3, scale=1.0), 'shift': 2.0, 'kappa_base': 3.0, 'kappa_max': 5.0, 'min_parameter': 0.4, 'offset': 0.5,
         'strength': 0.9, 'motion_threshold': 0.97, 'visual_threshold': 0.95}


@pytest.mark.parametrize('kind', LAWS)
@pytest.mark.parametrize('name', OTHER)
def test_no_constant_of_a_law_is_accepted_and_ignored(kind, name):
    """Each either changes the timesteps of a law, or is refused."""
    if name not in READS[kind]:
        with pytest.raises(ValueError, match=rf'{kind!r} does not read {name}, which is '):
            LawConfig(kind=kind, **{name: OTHER[name]})
        return
    mq, vq, u = np.repeat([0.95, 0.1, 0.6, 0.0], 5), np.repeat([0.1, 0.9, 0.6, 1.0], 5), jnp.tile(jnp.linspace(0.01, 0.9, 5), 4)
    plain, other = (sample_timesteps(law_from_quality(mq, vq, LawConfig(kind=kind, **changes)), u) for changes in ({}, {name: OTHER[name]}))
    assert np.abs(plain - other).max() > 0.02


@pytest.mark.parametrize('count', [1, CHUNK, 2 * CHUNK + 7])
def test_a_mean_density_is_scipys_however_many_clips(count):
    rng, t = np.random.default_rng(count), np.array([0.1, 0.5, 0.8])
    mq, vq, weights = rng.uniform(size=(3, count))
    sizes = []

    def laws_of(clips):
        sizes.append(len(clips))
        return law_from_quality(mq[clips], vq[clips], LawConfig())

    found = mean_density(laws_of, rng.permutation(count), np.ones(count), t)
    alpha, beta = tqd_parameters(mq, vq, 2.0, 8.0, 0.2)
    density = stats.beta(alpha, beta).pdf(t[:, None])
    np.testing.assert_allclose(found, density.mean(1), rtol=1e-4)
    np.testing.assert_allclose(mean_density(laws_of, np.arange(count), weights, t), density @ weights / weights.sum(), rtol=1e-4)
    assert set(sizes) == {CHUNK}, 'another size is another program'
