"""Arms against the papers' formulas: who may be drawn, how often, and when each clip teaches."""
import dataclasses
import math
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from scipy import stats

from benchmarks.studies.training.arms import ARMS, Arm, cumulative_shares, plan, stack
from tqd_jax.timesteps.law import sample_timesteps
from tqd_jax.timesteps.quality import LawConfig

RNG = np.random.default_rng(0)
N = 40
SAMPLE = jax.jit(sample_timesteps)


def clips():
    mq, vq = RNG.random(N), RNG.random(N)
    good = mq > 0.5, vq > 0.5
    return SimpleNamespace(mq=mq, vq=vq, golden=good[0] & good[1], motion_only=good[0] & ~good[1], visual_only=~good[0] & good[1])


def quantiles(made, level):
    return np.asarray(SAMPLE(made.law, np.full(len(made.acceptance), level, np.float32)))


def test_the_arms_that_the_study_promises():
    sets = {(arm.members, arm.law.kind, arm.dropout) for arm in ARMS.values()}
    assert {(members, *rest) for members in ('all', 'imbalanced', 'golden') for rest in (('uniform', False), ('beta', True))} <= sets
    assert {('all', 'beta', False), ('all', 'uniform', True), ('all', 'offset', False), ('all', 'min_noise', False)} <= sets
    assert {arm.law.kappa_max for arm in ARMS.values()} == {4, 8, 16}
    assert [arm.members for arm in ARMS.values() if arm.reversed] == ['all', 'imbalanced']
    assert len(set(map(dataclasses.astuple, ARMS.values()))) == len(ARMS) == 14


@pytest.mark.parametrize('name', ARMS)
def test_only_members_are_drawn_as_often_as_dropout_says(name):
    arm, world = ARMS[name], clips()
    acceptance = plan(arm, world).acceptance
    member = {'all': np.full(N, True), 'imbalanced': world.motion_only | world.visual_only, 'golden': world.golden}[arm.members]
    expected = np.maximum(world.mq, world.vq) if arm.dropout else np.ones(N)
    np.testing.assert_allclose(acceptance, np.where(member, expected, 0), rtol=1e-6)


def test_tqd_and_its_reverse_are_the_papers_beta_laws():
    world = clips()
    for name, gap in (('A tqd', world.mq - world.vq), ('A reversed', world.vq - world.mq)):
        mu, kappa = 0.5 + 0.5 * gap, 2 + 6 * np.abs(gap)
        truth = stats.beta.ppf(0.3, np.maximum(mu * kappa, 0.2), np.maximum((1 - mu) * kappa, 0.2))
        np.testing.assert_allclose(quantiles(plan(ARMS[name], world), 0.3), truth, atol=2e-4)


def test_the_other_laws_in_closed_form():
    world = clips()
    np.testing.assert_allclose(quantiles(plan(ARMS['C uniform'], world), 0.3), 0.3, rtol=1e-6)
    np.testing.assert_allclose(quantiles(plan(ARMS['A min noise'], world), 0.5), (1 + 0.5 * (1 - world.vq)) / 2, rtol=1e-5)
    moved = 1 / (1 + np.exp(-(math.log(0.3 / 0.7) + 1.1 * (1.0 * world.motion_only - world.visual_only))))
    np.testing.assert_allclose(quantiles(plan(ARMS['A offset'], world), 0.3), moved, rtol=1e-5)


def test_a_uniform_falls_on_a_clip_as_often_as_it_is_accepted():
    acceptance = np.array([[0, 2, 0, 1, 1, 0], [1, 1, 1, 1, 1, 1]], np.float32)
    found = cumulative_shares(acceptance)
    assert found.dtype == np.float32 and (found[:, -1] == 1).all()
    places = np.searchsorted(found[0], (np.arange(1000) + 0.5) / 1000, side='right')
    np.testing.assert_array_equal(np.bincount(places, minlength=6), [0, 500, 0, 250, 250, 0])
    assert np.searchsorted(found[0], np.float32(0), side='right') == 1  # the lowest level is no clip that is never kept


def test_plans_stack_on_a_leading_axis():
    world = clips()
    whole = stack([plan(arm, world) for arm in ARMS.values()])
    assert whole.acceptance.shape == whole.law.alpha.shape == (len(ARMS), N) and whole.law.table.shape == (len(ARMS), N, 121)
    np.testing.assert_array_equal(whole.law.alpha[1], plan(ARMS['A tqd'], world).law.alpha)


def test_impossible_arms():
    with pytest.raises(ValueError, match="got 'good'"):
        Arm(name='x', members='good')
    nothing = np.zeros(3)
    poor = SimpleNamespace(mq=nothing, vq=nothing, golden=nothing > 0, motion_only=nothing > 0, visual_only=nothing > 0)
    for arm in (ARMS['C uniform'], Arm(name='A dropped', law=LawConfig(), dropout=True)):
        with pytest.raises(ValueError, match=f'no clip can be drawn in the arm .{arm.name}'):
            plan(arm, poor)
