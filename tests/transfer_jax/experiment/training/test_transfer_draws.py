"""What a step of a fit draws and what it weighs: rates, shares, and the weighted likelihood in expectation."""
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import transfer_small as small
from transfer_small import QUANTITIES, ROWS, WEIGHTS, policy_of, replicas_of

from transfer_jax.experiment.training.draws import draw
from transfer_jax.experiment.training.policy import SAMPLING, rates, steps
from transfer_jax.experiment.training.trainer import make_pool
from transfer_jax.runtime.keys import stream_key

BATCH, DRAWS = 8, 2000


@pytest.fixture(scope='module')
def domains():
    return small.blobs(sizes=(40, 30, 50))


@pytest.fixture(scope='module')
def pool(domains):
    return make_pool(domains, 0, resident=True)


@functools.partial(jax.jit, static_argnames=('batch', 'sampling'))
def draw_one(pool, replica, policy, sampling, batch=BATCH, at=None):
    """(rows, weights) [steps, batch] of the first steps, or of the steps `at`."""
    at = jnp.arange(DRAWS) if at is None else at
    return jax.vmap(lambda step: draw(pool, replica, policy, step, batch=batch, sampling=sampling))(at)


def of_replica(replicas, number=0):
    return jax.tree.map(lambda x: x[number], replicas)


@pytest.mark.parametrize('sampling', SAMPLING)
def test_rows_are_their_domains_own_at_the_rate_and_weight_of_the_policy(pool, sampling):
    policy = policy_of()
    rows, weights = map(np.asarray, draw_one(pool, of_replica(replicas_of([5])), policy, sampling))
    domain = np.searchsorted(np.asarray(pool.starts), rows, side='right') - 1  # what is in fact there
    shares = np.array(WEIGHTS) * QUANTITIES / np.dot(WEIGHTS, QUANTITIES)
    rate = {'shares': shares, 'sizes': np.array(QUANTITIES) / 65, 'even': np.full(3, 1 / 3)}[sampling]
    np.testing.assert_allclose(weights, (shares / rate)[domain], rtol=1e-5)
    counts = np.stack([(domain == d).sum(1) for d in range(3)], 1)
    assert (np.abs(counts - BATCH * rate) < 1 + 1e-4).all()
    assert set(rows[domain == small.TARGET] - 40) == set(ROWS)
    mean = np.stack([np.where(domain == d, weights, 0).mean() for d in range(3)])
    assert (np.abs(mean - shares) < 5 * 0.5 / BATCH / DRAWS**0.5 * shares / rate).all()  # a count's deviation is at most 1/2


def test_a_domain_that_takes_no_part_is_never_drawn(pool):
    for quantities, weights in (((11.0, 4.0, 0.0), WEIGHTS), (QUANTITIES, (0.0, 1.0, 2.0)), ((0.0, 4.0, 0.0), WEIGHTS)):
        rows, loss_weights = draw_one(pool, of_replica(replicas_of([5])), policy_of(weights, quantities), 'shares')
        domain = np.searchsorted(np.asarray(pool.starts), rows, side='right') - 1
        assert set(domain.ravel()) == {d for d in range(3) if weights[d] * quantities[d]} and np.isfinite(loss_weights).all()


def test_the_last_place_of_a_batch_may_round_to_one(pool):
    """(B - 1 + U) / B is 1 in float32 where U comes near 1: it must not reach beyond the last domain that takes part."""
    batch, replica = 2**16, of_replica(replicas_of([0]))
    first = lambda step: jax.random.uniform(jax.random.split(stream_key(replica.seed, 'draw', step))[0])
    near = jnp.argmax(jax.jit(jax.vmap(first))(jnp.arange(4000)))[None]
    assert np.float32(batch - 1) + np.float32(first(near[0])) == batch
    rows, weights = draw_one(pool, replica, policy_of(quantities=(11.0, 4.0, 0.0)), 'shares', batch, near)
    assert int(rows.max()) < 70 and np.isfinite(weights).all()
    np.testing.assert_allclose(weights, 1, rtol=1e-5)


def test_quantities_are_the_first_of_a_seeds_own_order(pool):
    def rows_of(seed, n):
        rows, _ = draw_one(pool, of_replica(replicas_of([seed])), policy_of(quantities=(0.0, 1.0, n)), 'sizes')
        return {row for row in np.unique(rows).tolist() if row >= 70}
    few, more, every = rows_of(0, 9.0), rows_of(0, 12.0), rows_of(0, 50.0)
    assert len(few) == 9 and len(more) == 12 and few < more and every == set(range(70, 120))
    assert len({frozenset(rows_of(seed, 9.0)) for seed in range(5)}) == 5


@pytest.mark.parametrize('sampling', SAMPLING)
def test_the_gradients_expectation_is_the_weighted_likelihoods(domains, pool, sampling):
    theta = np.random.default_rng(0).normal(size=(6, 3))
    inputs, labels = np.asarray(pool.inputs, float), np.asarray(pool.labels)
    odds = np.exp(inputs @ theta)
    gradient = inputs[:, :, None] * (odds / odds.sum(1, keepdims=True) - np.eye(3)[labels])[:, None]  # of -log softmax, by hand
    rows, weights = map(np.asarray, draw_one(pool, of_replica(replicas_of([2])), policy_of(), sampling))
    some = np.unique(rows[rows < 40])
    assert len(some) == 11
    full = 0.3 * gradient[some].sum(0) + gradient[40 + ROWS].sum(0) + 2 * gradient[70:].sum(0)
    steps_own = (weights[:, :, None, None] * gradient[rows]).mean(1)
    error = steps_own.std(0) / DRAWS**0.5
    assert (np.abs(steps_own.mean(0) - full / np.dot(WEIGHTS, QUANTITIES)) < 4.5 * error).all() and error.max() < 0.03


def test_a_class_counts_by_its_factor(pool):
    """The same rows are drawn, and each weighs its domain's weight times the factor of its class."""
    factors = np.array([[1.0, 2.0, 0.5], [1, 1, 1], [0, 3, 1]], np.float32)
    replica, plain = of_replica(replicas_of([5])), policy_of()
    rows, weights = map(np.asarray, draw_one(pool, replica, plain, 'sizes'))
    same, factored = map(np.asarray, draw_one(pool, replica, plain.replace(class_factors=jnp.asarray(factors)), 'sizes'))
    domain = np.searchsorted(np.asarray(pool.starts), rows, side='right') - 1
    assert np.array_equal(rows, same) and np.array_equal(factored, weights * factors[domain, np.asarray(pool.labels)[rows]])


# --- policy

def test_policy_by_hand():
    policy = policy_of(((1.0, 0.5, 0.0), (2.0, 1.0, 1.0)), ((10.0, 40.0, 7.0), (0.0, 4.0, 12.0)))
    np.testing.assert_allclose(policy.total(), [30, 16])
    np.testing.assert_allclose(policy.shares(), [[1 / 3, 2 / 3, 0], [0, 1 / 4, 3 / 4]], rtol=1e-6)
    np.testing.assert_allclose(policy.sample_count(), [50, 16])
    for sampling, reference in zip(SAMPLING, ([[1 / 3, 2 / 3, 0], [0, 1 / 4, 3 / 4]], [[0.2, 0.8, 0], [0, 1 / 4, 3 / 4]],
                                           [[0.5, 0.5, 0], [0, 0.5, 0.5]]), strict=True):
        np.testing.assert_allclose(rates(policy, sampling), reference, rtol=1e-6)
    assert steps(policy, epochs=3.0, batch=16, min_steps=5).tolist() == [10, 5]  # ceil(150 / 16), 48 / 16 = 3 < 5
