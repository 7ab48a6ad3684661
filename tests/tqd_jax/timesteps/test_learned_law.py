"""A learned law: draws of groups and of t come out as its weights say, and what is no law is refused."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tqd_jax.timesteps.law import log_prob, sample_timesteps
from tqd_jax.timesteps.learned import LearnedLaw, groups_of, weights

SHARES, LABELS = np.array([[0.2, 0.8], [0.7, 0.3], [1.0, 0.0]]), np.repeat([0, 1], [30, 10])


def law(**changes):
    return LearnedLaw(**{'groups': ('a', 'b'), 'weight': weights(SHARES, [30, 10]), **changes})


def test_draws_of_groups_and_noise_are_the_shares_it_was_made_of():
    accept, laws = law().acceptance(LABELS), law().laws(LABELS)
    assert accept.max() == 1
    np.testing.assert_allclose(np.bincount(LABELS, accept) / accept.sum(), SHARES.mean(0))
    uniforms = jnp.asarray((np.arange(1000) + 0.5) / 1000, jnp.float32)
    for group, row in enumerate((0, 39)):
        mine = jax.tree.map(lambda leaf, row=row: jnp.asarray(np.repeat(leaf[row:row + 1], 1000, axis=0)), laws)
        drawn = np.histogram(sample_timesteps(mine, uniforms), bins=3, range=(0, 1))[0] / 1000
        np.testing.assert_allclose(drawn, SHARES[:, group] / SHARES[:, group].sum(), atol=2e-3)


def test_its_density_is_its_weights():
    laws = jax.tree.map(jnp.asarray, law().laws(np.array([0, 0, 0, 1, 1])))
    density = np.exp(log_prob(laws, jnp.array([0.1, 0.5, 0.9, 0.1, 0.9], jnp.float32)))
    np.testing.assert_allclose(density[:3] / density[0], SHARES[:, 0] / SHARES[0, 0], rtol=1e-4)
    np.testing.assert_allclose(density[3:], [0.8 / (1.1 / 3), 0.0], rtol=1e-4)


def test_a_group_that_counts_nothing_is_never_drawn_and_does_no_harm():
    none = law(weight=np.array([[1.0, 0.0]] * 2))
    assert none.acceptance(LABELS)[-1] == 0
    uniform = none.laws(np.array([1]))
    np.testing.assert_allclose(uniform.table[0], np.linspace(0, 1, uniform.table.shape[1]), atol=1e-6)


def test_uniform_shares_weigh_nothing():
    np.testing.assert_allclose(weights(np.tile([0.75, 0.25], (4, 1)), [30, 10]), 1)


def test_groups_are_quadrants_sources_or_both():
    mq, vq, source = np.array([0.9, 0.9, 0.1, 0.9]), np.array([0.9, 0.1, 0.9, 0.9]), np.array([0, 0, 1, 1])
    of = lambda by: groups_of(by, ('web', 'studio'), source, mq, vq)
    names, labels = of('quadrant')
    assert names == ('visual only', 'motion only', 'golden')
    assert [names[i] for i in labels] == ['golden', 'motion only', 'visual only', 'golden']
    assert [of('source')[0][i] for i in of('source')[1]] == ['web', 'web', 'studio', 'studio']
    assert [of('both')[0][i] for i in of('both')[1]] == ['web, golden', 'web, motion only', 'studio, visual only', 'studio, golden']


@pytest.mark.parametrize(('changes', 'message'), [
    ({'groups': ('a', 'a')}, 'each once'), ({'groups': (1, 2)}, 'are names'),
    ({'by': 'colour'}, 'one of quadrant, source, both'), ({'weight': np.ones((7, 2))}, 'a divisor of 120'),
    ({'weight': np.ones((3, 3))}, 'for 2 groups'), ({'weight': np.zeros((3, 2))}, 'not all 0'),
    ({'weight': np.full((3, 2), np.nan)}, 'finite'), ({'weight': -np.ones((3, 2))}, '>= 0')])
def test_what_is_no_law_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        law(**changes)
