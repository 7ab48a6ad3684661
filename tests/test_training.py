"""Fits: what is drawn and what it weighs, the step, the trainer on one device and on eight, and fits that stop and go on."""
import dataclasses
import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import transfer_small as small

from transfer_jax.data.domains import Domain
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.keys import stream_key
from transfer_jax.runtime.store import Store
from transfer_jax.training import prepare, step
from transfer_jax.training.draws import Lanes, draw
from transfer_jax.training.fit import Stopped, fit
from transfer_jax.training.policy import SAMPLING, Policy, rates, steps
from transfer_jax.training.prepare import Scaling
from transfer_jax.training.trainer import make_pool

pytestmark = pytest.mark.usefixtures('compiled')  # several trainers have the same programs
BATCH, DRAWS, ROWS = 8, 2000, np.array([3, 17, 29, 4])
WEIGHTS, QUANTITIES = (0.3, 1.0, 2.0), (11.0, 4.0, 50.0)


def policy_of(weights=WEIGHTS, quantities=QUANTITIES):
    return Policy(weights=jnp.asarray(weights, jnp.float32), quantities=jnp.asarray(quantities, jnp.float32))


def lanes_of(seeds, rows=ROWS):
    return Lanes(seed=jnp.asarray(seeds, jnp.uint32), target=jnp.full(len(seeds), small.TARGET, jnp.int32),
                 rows=jnp.tile(jnp.asarray(rows, jnp.int32), (len(seeds), 1)))


@pytest.fixture(scope='module')
def domains():
    return small.blobs(sizes=(40, 30, 50))


@pytest.fixture(scope='module')
def pool(domains):
    return make_pool(domains, 0, resident=True)


@functools.partial(jax.jit, static_argnames=('batch', 'sampling'))
def drawn(pool, lane, policy, sampling, batch=BATCH, at=None):
    """(rows, weights) [steps, batch] of the first steps, or of the steps `at`."""
    at = jnp.arange(DRAWS) if at is None else at
    return jax.vmap(lambda step: draw(pool, lane, policy, step, batch=batch, sampling=sampling))(at)


def of_lane(lanes, number=0):
    return jax.tree.map(lambda x: x[number], lanes)


# --- draws

@pytest.mark.parametrize('sampling', SAMPLING)
def test_rows_are_their_domains_own_at_the_rate_and_weight_of_the_policy(pool, sampling):
    policy = policy_of()
    rows, weights = map(np.asarray, drawn(pool, of_lane(lanes_of([5])), policy, sampling))
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
        rows, given = drawn(pool, of_lane(lanes_of([5])), policy_of(weights, quantities), 'shares')
        domain = np.searchsorted(np.asarray(pool.starts), rows, side='right') - 1
        assert set(domain.ravel()) == {d for d in range(3) if weights[d] * quantities[d]} and np.isfinite(given).all()


def test_the_last_place_of_a_batch_may_round_to_one(pool):
    """(B - 1 + U) / B is 1 in float32 where U comes near 1: it must not reach beyond the last domain that takes part."""
    batch, lane = 2**16, of_lane(lanes_of([0]))
    first = lambda step: jax.random.uniform(jax.random.split(stream_key(lane.seed, 'draw', step))[0])
    near = jnp.argmax(jax.jit(jax.vmap(first))(jnp.arange(4000)))[None]
    assert np.float32(batch - 1) + np.float32(first(near[0])) == batch
    rows, weights = drawn(pool, lane, policy_of(quantities=(11.0, 4.0, 0.0)), 'shares', batch, near)
    assert int(rows.max()) < 70 and np.isfinite(weights).all()
    np.testing.assert_allclose(weights, 1, rtol=1e-5)


def test_quantities_are_the_first_of_a_seeds_own_order(pool):
    def seen(seed, n):
        rows, _ = drawn(pool, of_lane(lanes_of([seed])), policy_of(quantities=(0.0, 1.0, n)), 'sizes')
        return {row for row in np.unique(rows).tolist() if row >= 70}
    few, more, every = seen(0, 9.0), seen(0, 12.0), seen(0, 50.0)
    assert len(few) == 9 and len(more) == 12 and few < more and every == set(range(70, 120))
    assert len({frozenset(seen(seed, 9.0)) for seed in range(5)}) == 5


@pytest.mark.parametrize('sampling', SAMPLING)
def test_the_gradients_expectation_is_the_weighted_likelihoods(domains, pool, sampling):
    theta = np.random.default_rng(0).normal(size=(6, 3))
    inputs, labels = np.asarray(pool.inputs, float), np.asarray(pool.labels)
    odds = np.exp(inputs @ theta)
    gradient = inputs[:, :, None] * (odds / odds.sum(1, keepdims=True) - np.eye(3)[labels])[:, None]  # of -log softmax, by hand
    rows, weights = map(np.asarray, drawn(pool, of_lane(lanes_of([2])), policy_of(), sampling))
    some = np.unique(rows[rows < 40])
    assert len(some) == 11
    full = 0.3 * gradient[some].sum(0) + gradient[40 + ROWS].sum(0) + 2 * gradient[70:].sum(0)
    steps_own = (weights[:, :, None, None] * gradient[rows]).mean(1)
    error = steps_own.std(0) / DRAWS**0.5
    assert (np.abs(steps_own.mean(0) - full / np.dot(WEIGHTS, QUANTITIES)) < 4.5 * error).all() and error.max() < 0.03


# --- policy

def test_policy_by_hand():
    policy = policy_of(((1.0, 0.5, 0.0), (2.0, 1.0, 1.0)), ((10.0, 40.0, 7.0), (0.0, 4.0, 12.0)))
    np.testing.assert_allclose(policy.total(), [30, 16])
    np.testing.assert_allclose(policy.shares(), [[1 / 3, 2 / 3, 0], [0, 1 / 4, 3 / 4]], rtol=1e-6)
    np.testing.assert_allclose(policy.used(), [50, 16])
    for sampling, wanted in zip(SAMPLING, ([[1 / 3, 2 / 3, 0], [0, 1 / 4, 3 / 4]], [[0.2, 0.8, 0], [0, 1 / 4, 3 / 4]],
                                           [[0.5, 0.5, 0], [0, 0.5, 0.5]]), strict=True):
        np.testing.assert_allclose(rates(policy, sampling), wanted, rtol=1e-6)
    assert steps(policy, epochs=3.0, batch=16, least=5).tolist() == [10, 5]  # ceil(150 / 16), 48 / 16 = 3 < 5


# --- one step

def regression(seed, count=6):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(np.float32) for shape in ((count, 8, 3), (count, 8), (count, 8), (3, 1))]


def run_steps(inputs, labels, weight, start, *, total=20.0, last=6, prior=3.0):
    params = {'kernel': jnp.asarray(start)}
    state = step.fresh(params)
    for x, y, w in zip(inputs, labels, weight, strict=True):
        batch = {'inputs': jnp.asarray(x), 'labels': jnp.asarray(y), 'weight': jnp.asarray(w), 'rows': jnp.arange(len(y))}
        state, value = one_step(state, batch, params, jnp.float32(total), jnp.int32(last), prior)
    return state, value


@jax.jit
def one_step(state, batch, start, total, steps, prior):
    return step.train_step(state, batch, start, jnp.uint32(0), apply=lambda params, x: x @ params['kernel'], loss=step.squared_loss,
                           prepare=lambda x, keys: x, total=total, steps=steps, rate=0.1, prior=prior)


def test_a_step_is_adams_on_the_penalised_weighted_loss():
    inputs, labels, weight, start = regression(0)
    state, value = run_steps(inputs, labels, weight, start)
    adam = optax.adam(optax.cosine_decay_schedule(0.1, 6))
    theta, moments = jnp.asarray(start), adam.init(jnp.asarray(start))
    for x, y, w in zip(inputs, labels, weight, strict=True):
        left = x @ np.asarray(theta) - y[:, None]
        loss = np.mean(w * left[:, 0] ** 2 / 2) + 3 / 40 * np.sum((np.asarray(theta) - start) ** 2)
        gradient = x.T @ (w[:, None] * left) / 8 + 3 / 20 * (np.asarray(theta) - start)
        with jax.numpy_dtype_promotion('standard'):  # optax counts in int32 and decays in float32
            update, moments = adam.update(jnp.asarray(gradient, jnp.float32), moments)
        theta = theta + update
    np.testing.assert_allclose(state.params['kernel'], theta, rtol=2e-5)
    np.testing.assert_allclose(value, loss, rtol=2e-5)
    assert not np.allclose(theta, start, atol=0.1)


def test_a_lane_past_its_steps_stays_bit_for_bit():
    parts = regression(1)
    there, _ = run_steps(*[part[:4] for part in parts[:3]], parts[3], last=4)
    after, _ = run_steps(*parts, last=4)
    for old, new in zip(jax.tree.leaves(there), jax.tree.leaves(after), strict=True):
        np.testing.assert_array_equal(old, new)


def test_losses_by_hand():
    outputs, labels = jnp.asarray([[1.0, 2.0, 0.5], [0.0, 0.0, 3.0]]), jnp.asarray([1, 0])
    wanted = [-np.log(np.exp(2) / np.exp([1, 2, 0.5]).sum()), -np.log(1 / (2 + np.exp(3)))]
    np.testing.assert_allclose(step.softmax_loss(outputs, labels), wanted, rtol=1e-6)
    np.testing.assert_allclose(step.squared_loss(jnp.asarray([[3.0], [-1.0]]), jnp.asarray([1.0, 1.0])), [2, 2])


# --- prepare

def test_rows_are_divided_by_their_norm_and_columns_standardised():
    x = jnp.asarray([[3.0, -4.0], [0.0, 0.0]])
    scaling = Scaling(mean=jnp.asarray([0.1, 0.0]), scale=jnp.asarray([1.0, 2.0]), rows='none')
    np.testing.assert_allclose(prepare.normalised(x, scaling), [[2.9, -2], [-0.1, 0]], rtol=1e-6)
    np.testing.assert_allclose(prepare.normalised(x, scaling.replace(rows='l1')), [[3 / 7 - 0.1, -2 / 7], [-0.1, 0]], rtol=1e-6)
    np.testing.assert_allclose(prepare.normalised(x, scaling.replace(rows='l2')), [[0.5, -0.4], [-0.1, 0]], rtol=1e-6)


def test_images_count_from_0_to_1_and_are_scaled_by_channel():
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3), np.uint8)
    domain = Domain(name='images', inputs=images, labels=np.zeros(5, np.int32))
    scaling = prepare.fit_scaling([domain], rows='none', columns='standard', mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 4.0))
    out = prepare.normalised(jnp.asarray(images), scaling)
    np.testing.assert_allclose(out, (images / 255 - [0.1, 0.2, 0.3]) / [1, 2, 4], atol=1e-6)
    assert out.dtype == jnp.float32
    grey = prepare.fit_scaling([domain], rows='none', columns='none', mean=(0.5,), std=(0.25,))
    np.testing.assert_allclose(prepare.normalised(jnp.asarray(images), grey), (images / 255 - 0.5) * 4, atol=1e-6)


def test_columns_are_standardised_over_sources_that_count_alike():
    rng = np.random.default_rng(0)
    sources = [Domain(name=str(n), inputs=(rng.normal(size=(n, 4)) * [1, 2, 3, 0] + n).astype(np.float32), labels=np.zeros(n, np.int32))
               for n in (30, 300)]
    scaling = prepare.fit_scaling(sources, rows='none', columns='standard', mean=(0.0,), std=(1.0,))
    weight = np.concatenate([np.full(n, 1 / (2 * n)) for n in (30, 300)])
    everything = np.concatenate([source.inputs for source in sources])
    centre = weight @ everything
    np.testing.assert_allclose(scaling.mean, centre, rtol=1e-5)
    np.testing.assert_allclose(scaling.scale, np.sqrt(weight @ (everything - centre) ** 2), rtol=1e-5)
    constant = [dataclasses.replace(source, inputs=np.ones((len(source), 4), np.float32)) for source in sources]
    assert (np.asarray(prepare.fit_scaling(constant, rows='none', columns='standard', mean=(0.0,), std=(1.0,)).scale) == 1).all()


def test_a_crop_only_shifts_and_is_a_function_of_its_key():
    images = jnp.asarray(np.random.default_rng(0).normal(size=(40, 8, 8, 2)), jnp.float32)
    keys = jax.random.split(jax.random.key(0), 40)
    out, again = (np.asarray(prepare.augmented(images, keys, 'crop')) for _ in range(2))
    flipped = np.asarray(prepare.augmented(images, keys, 'crop_flip'))
    np.testing.assert_array_equal(out, again)
    assert out.shape == images.shape
    found, mirrored = set(), 0
    for image, moved, maybe in zip(np.asarray(images), out, flipped, strict=True):
        wide = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode='edge')
        shifts = [(i, j) for i in range(3) for j in range(3) if np.array_equal(wide[i:i + 8, j:j + 8], moved)]
        assert len(shifts) == 1
        found.add(shifts[0])
        assert np.array_equal(maybe, moved) or np.array_equal(maybe, moved[:, ::-1])
        mirrored += not np.array_equal(maybe, moved)
    assert len(found) == 9 and 8 < mirrored < 32


# --- trainer

def advance(trainer, domains, *, segments=2, weights=WEIGHTS, last=(20, 20), start=None):
    """(states, losses) of two lanes after some segments."""
    start = trainer.start(jnp.arange(2, dtype=jnp.uint32)) if start is None else start
    state = jax.vmap(step.fresh)(jax.tree.map(jnp.copy, start))
    policy = policy_of((weights, weights), (QUANTITIES, QUANTITIES))
    for segment in range(segments):
        state, loss = trainer.advance(state, start, lanes_of(range(2)), policy, jnp.asarray(last, jnp.int32), small.plain(domains),
                                      segment * trainer.settings.segment)
    return state, loss


@pytest.fixture(scope='module')
def reference(domains):
    """What one device with everything on it gives."""
    return advance(small.trainer(domains), domains)


def test_lanes_side_by_side_are_lanes_one_at_a_time(domains, reference):
    together = reference[0].params['head']['kernel']
    apart, _ = advance(small.trainer(domains, lanes=1), domains)
    np.testing.assert_allclose(apart.params['head']['kernel'], together, atol=1e-6)
    assert not np.allclose(together[0], together[1], atol=1e-2)


def test_inputs_that_stay_on_the_host_give_the_same_fit(domains, reference):
    resident, loss = reference
    streamed, same = advance(small.trainer(domains, resident=False), domains)
    np.testing.assert_allclose(loss, same, atol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), resident.params, streamed.params)


def test_eight_devices_give_the_same_fit(domains, reference):
    one, loss = reference
    eight, same = advance(small.trainer(domains, devices=8), domains)
    np.testing.assert_allclose(loss, same, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), one.params, eight.params)
    with pytest.raises(UserError, match='batch of 12 does not divide over 8 devices'):
        advance(small.trainer(domains, devices=8, batch=12), domains)


@pytest.mark.parametrize('resident', [True, False])
def test_a_change_of_mind_compiles_nothing(domains, resident, caplog):
    trainer = small.trainer(domains, resident=resident)
    start = trainer.start(jnp.arange(2, dtype=jnp.uint32))
    before, _ = advance(trainer, domains, segments=1, start=start)
    jax.config.update('jax_log_compiles', True)  # of threads too, unlike the context manager
    try:
        after, _ = advance(trainer, domains, segments=2, weights=(0.0, 1.0, 0.1), last=(20, 15), start=start)
    finally:
        jax.config.update('jax_log_compiles', False)
    assert [message for message in caplog.messages if message.startswith('Compiling')] == []
    assert after.step.tolist() == [20, 15] and before.step.tolist() == [10, 10]


def test_a_long_fit_reaches_weighted_ridge(tmp_path):
    domains = small.lines()
    trainer = small.trainer(domains, batch=32, segment=500, sampling='sizes', prior=5.0)
    done = run(trainer, tmp_path, domains, plan=lambda policy: np.array([3000, 500]), quantities=(40.0, 4.0, 50.0))
    parts = [(domain.inputs, domain.labels, w) for domain, w in zip(domains.domains, (0.3, 1, 2), strict=True)]
    parts[small.TARGET] = tuple(part[ROWS] for part in parts[small.TARGET][:2]) + (1,)
    inputs = np.concatenate([np.column_stack([x, np.ones(len(x))]) for x, _, _ in parts])
    labels, weight = np.concatenate([y for _, y, _ in parts]), np.concatenate([np.full(len(x), w) for x, _, w in parts])
    ridge = np.linalg.solve(inputs.T @ (weight[:, None] * inputs) + 5 * np.eye(4), inputs.T @ (weight * labels))
    head = done.params['head']
    np.testing.assert_allclose(np.append(head['kernel'][0, :, 0], head['bias'][0]), ridge, atol=0.02)
    assert np.abs(np.linalg.lstsq(inputs, labels)[0] - ridge).max() > 0.1  # what weights and prior change is far above the tolerance


# --- fit

def run(trainer, folder, domains, *, plan=lambda policy: np.array([40, 30]), quantities=QUANTITIES, name='some', stop=None, start=None,
        **more):
    """A fit of two lanes."""
    start = trainer.start(jnp.arange(2, dtype=jnp.uint32)) if start is None else start
    policy = policy_of((WEIGHTS, WEIGHTS), (quantities, quantities))
    return fit(trainer, Store(folder), name, lanes=lanes_of(range(2)), start=start, policy=policy, scaling=small.plain(domains), plan=plan,
               stop=stop or types.SimpleNamespace(requested=False), **more)


@pytest.fixture(scope='module')
def trained(domains):
    return small.trainer(domains)


def growing(params, policy, step):
    """A controller whose decision depends on where the fit stands."""
    return policy.replace(weights=policy.weights.at[:, 0].set(jnp.abs(params['head']['kernel'][:, 0, 0]) + step / 100))


def test_a_stopped_fit_ends_bit_for_bit_like_one_that_was_not(domains, trained, tmp_path):
    whole = run(trained, tmp_path / 'whole', domains, controller=growing, every=20)
    stop = types.SimpleNamespace(requested=False)

    def stopping(params, policy, step):
        stop.requested = step == 20
        return growing(params, policy, step)
    with pytest.raises(Stopped):
        run(trained, tmp_path / 'parts', domains, controller=stopping, every=20, stop=stop)
    assert Store(tmp_path / 'parts').record('some') is None and Store(tmp_path / 'parts').checkpoints('some').steps() == [30]
    parts = run(trained, tmp_path / 'parts', domains, controller=growing, every=20)
    jax.tree.map(np.testing.assert_array_equal, (whole.params, whole.policy), (parts.params, parts.policy))
    same = ('step', 'steps', 'drawn', 'history')
    assert {key: whole.record[key] for key in same} == {key: parts.record[key] for key in same}
    assert np.array_equal(whole.record['loss'], parts.record['loss'])
    assert [event['step'] for event in whole.record['history']] == [0, 20] and whole.record['drawn'] == [40 * 16, 30 * 16]
    assert whole.record['history'][1]['weights'][0][0] > 0.2
    assert Store(tmp_path / 'parts').checkpoints('some').steps() == []


def test_a_finished_fit_is_read_and_not_trained(domains, trained, tmp_path):
    first = run(trained, tmp_path, domains)
    again = fit(None, Store(tmp_path), 'some', lanes=None, start=first.params, policy=first.policy, scaling=None, plan=None, stop=None)
    jax.tree.map(np.testing.assert_array_equal, (first.params, first.policy), (again.params, again.policy))
    assert again.record['drawn'] == first.record['drawn']


def test_a_loss_that_is_not_finite_names_the_fit_and_the_lane(domains, trained, tmp_path):
    start = jax.tree.map(lambda x: x.at[1].set(jnp.inf), trained.start(jnp.arange(2, dtype=jnp.uint32)))
    with pytest.raises(UserError, match=r'fit broken: the loss of lane 1 is not finite at step 10; lower config\.train\.rate') as error:
        run(trained, tmp_path, domains, name='broken', start=start)
    assert '\n' not in str(error.value)


def test_a_lane_that_has_ended_stays_so_and_what_was_drawn_is_counted(domains, trained, tmp_path):
    """Plans may grow while a fit goes on: a lane still at work goes on longer, one that has ended does not begin again."""
    plan = lambda policy: np.where(np.asarray(policy.weights[:, 0]) > 0.5, [30, 60], [10, 40])
    more = lambda params, policy, step: policy.replace(weights=policy.weights.at[:, 0].set(0.3 + step / 20))
    fitted = run(trained, tmp_path, domains, plan=plan, controller=more, every=20)
    assert fitted.record['steps'] == [10, 60] and fitted.record['drawn'] == [10 * 16, 60 * 16]
    alone = run(trained, tmp_path, domains, plan=lambda policy: np.array([10, 10]), name='short')
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[0], b[0]), fitted.params, alone.params)
