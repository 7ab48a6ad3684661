"""Fits: the trainer on one device and on eight, and fits that stop and go on."""
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import transfer_small as small
from transfer_small import QUANTITIES, ROWS, WEIGHTS, policy_of, replicas_of

from transfer_jax.experiment.training import step
from transfer_jax.experiment.training.fit import fit
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.progress import Stopped
from transfer_jax.runtime.store import Store

pytestmark = pytest.mark.usefixtures('compiled')  # several trainers have the same programs


@pytest.fixture(scope='module')
def domains():
    return small.blobs(sizes=(40, 30, 50))


# --- trainer

def advance(trainer, domains, *, segments=2, weights=WEIGHTS, last=(20, 20), start=None):
    """(states, losses) of two replicas after some segments."""
    start = trainer.init_params(jnp.arange(2, dtype=jnp.uint32)) if start is None else start
    state = jax.vmap(step.first_state)(jax.tree.map(jnp.copy, start))
    policy = policy_of((weights, weights), (QUANTITIES, QUANTITIES))
    for segment in range(segments):
        state, loss = trainer.advance(state, start, replicas_of(range(2)), policy, jnp.asarray(last, jnp.int32), small.plain(domains),
                                      segment * trainer.settings.segment)
    return state, loss


@pytest.fixture(scope='module')
def reference(domains):
    """What one device with everything on it gives."""
    return advance(small.trainer(domains), domains)


def test_replicas_side_by_side_are_replicas_one_at_a_time(domains, reference):
    together = reference[0].trained['head']['kernel']
    apart, _ = advance(small.trainer(domains, replicas=1), domains)
    np.testing.assert_allclose(apart.trained['head']['kernel'], together, atol=1e-6)
    assert not np.allclose(together[0], together[1], atol=1e-2)


def test_inputs_that_stay_on_the_host_give_the_same_fit(domains, reference):
    resident, loss = reference
    stream, same = advance(small.trainer(domains, resident=False), domains)
    np.testing.assert_allclose(loss, same, atol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), resident.trained, stream.trained)


def test_eight_devices_give_the_same_fit(domains, reference):
    one, loss = reference
    eight, same = advance(small.trainer(domains, devices=8), domains)
    np.testing.assert_allclose(loss, same, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), one.trained, eight.trained)
    with pytest.raises(UserError, match='batch of 12 does not divide over 8 devices'):
        advance(small.trainer(domains, devices=8, batch=12), domains)


@pytest.mark.parametrize('resident', [True, False])
def test_a_change_of_mind_compiles_nothing(domains, resident, caplog):
    trainer = small.trainer(domains, resident=resident)
    start = trainer.init_params(jnp.arange(2, dtype=jnp.uint32))
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
    final = run(trainer, tmp_path, domains, plan=lambda policy: np.array([3000, 500]), quantities=(40.0, 4.0, 50.0))
    parts = [(domain.inputs, domain.labels, w) for domain, w in zip(domains.domains, (0.3, 1, 2), strict=True)]
    parts[small.TARGET] = tuple(part[ROWS] for part in parts[small.TARGET][:2]) + (1,)
    inputs = np.concatenate([np.column_stack([x, np.ones(len(x))]) for x, _, _ in parts])
    labels, weight = np.concatenate([y for _, y, _ in parts]), np.concatenate([np.full(len(x), w) for x, _, w in parts])
    ridge = np.linalg.solve(inputs.T @ (weight[:, None] * inputs) + 5 * np.eye(4), inputs.T @ (weight * labels))
    head = final.params['head']
    np.testing.assert_allclose(np.append(head['kernel'][0, :, 0], head['bias'][0]), ridge, atol=0.02)
    assert np.abs(np.linalg.lstsq(inputs, labels)[0] - ridge).max() > 0.1  # what weights and prior change is far above the tolerance


# --- fit

def run(trainer, folder, domains, *, plan=lambda policy: np.array([40, 30]), quantities=QUANTITIES, name='some', stop=None, start=None,
        **more):
    """A fit of two replicas."""
    start = trainer.init_params(jnp.arange(2, dtype=jnp.uint32)) if start is None else start
    policy = policy_of((WEIGHTS, WEIGHTS), (quantities, quantities))
    return fit(trainer, Store(folder), name, replicas=replicas_of(range(2)), start=start, policy=policy,
               scaling=small.plain(domains), plan=plan,stop=stop or types.SimpleNamespace(requested=False), **more)


@pytest.fixture(scope='module')
def one_trainer(domains):
    return small.trainer(domains)


def growing(params, policy, step):
    """A controller whose decision depends on where the fit stands."""
    return policy.replace(weights=policy.weights.at[:, 0].set(jnp.abs(params['head']['kernel'][:, 0, 0]) + step / 100))


def test_a_stopped_fit_ends_bit_for_bit_like_one_that_was_not(domains, one_trainer, tmp_path):
    whole = run(one_trainer, tmp_path / 'whole', domains, controller=growing, every=20)
    stop = types.SimpleNamespace(requested=False)

    def stopping(params, policy, step):
        stop.requested = step == 20
        return growing(params, policy, step)
    with pytest.raises(Stopped):
        run(one_trainer, tmp_path / 'parts', domains, controller=stopping, every=20, stop=stop)
    assert Store(tmp_path / 'parts').record('some') is None and Store(tmp_path / 'parts').checkpoints('some').steps() == [30]
    parts = run(one_trainer, tmp_path / 'parts', domains, controller=growing, every=20)
    jax.tree.map(np.testing.assert_array_equal, (whole.params, whole.policy), (parts.params, parts.policy))
    same = ('step', 'steps', 'drawn', 'history')
    assert {key: whole.record[key] for key in same} == {key: parts.record[key] for key in same}
    assert np.array_equal(whole.record['loss'], parts.record['loss'])
    assert [event['step'] for event in whole.record['history']] == [0, 20] and whole.record['drawn'] == [40 * 16, 30 * 16]
    assert whole.record['history'][1]['weights'][0][0] > 0.2
    assert Store(tmp_path / 'parts').checkpoints('some').steps() == []


def test_a_finished_fit_is_read_and_not_trained(domains, one_trainer, tmp_path):
    first = run(one_trainer, tmp_path, domains)
    again = fit(None, Store(tmp_path), 'some', replicas=None, start=first.params, policy=first.policy, scaling=None, plan=None, stop=None)
    jax.tree.map(np.testing.assert_array_equal, (first.params, first.policy), (again.params, again.policy))
    assert again.record['drawn'] == first.record['drawn']


@pytest.mark.parametrize('left', [{'quantities': np.array(QUANTITIES) / 2}, {'controller': growing, 'every': 20}])
def test_a_checkpoint_of_another_policy_is_deleted_and_the_fit_begins_anew(domains, one_trainer, tmp_path, left):
    expected = run(one_trainer, tmp_path / 'new', domains)
    with pytest.raises(Stopped):
        run(one_trainer, tmp_path / 'old', domains, stop=types.SimpleNamespace(requested=True), **left)
    assert Store(tmp_path / 'old').unfinished() == ['some']
    again = run(one_trainer, tmp_path / 'old', domains)
    jax.tree.map(np.testing.assert_array_equal, (expected.params, expected.policy), (again.params, again.policy))
    assert np.array_equal(expected.record['loss'], again.record['loss']) and Store(tmp_path / 'old').unfinished() == []


@pytest.mark.parametrize('left', [{'quantities': np.array(QUANTITIES) / 2}, {'controller': growing, 'every': 20}])
def test_a_finished_fit_of_another_policy_is_trained_again(domains, one_trainer, tmp_path, left):
    expected = run(one_trainer, tmp_path / 'new', domains)
    run(one_trainer, tmp_path / 'old', domains, **left)
    again = run(one_trainer, tmp_path / 'old', domains)
    jax.tree.map(np.testing.assert_array_equal, (expected.params, expected.policy), (again.params, again.policy))
    assert again.record['history'] == []


def test_a_loss_that_is_not_finite_names_the_fit_and_the_lane(domains, one_trainer, tmp_path):
    start = jax.tree.map(lambda x: x.at[1].set(jnp.inf), one_trainer.init_params(jnp.arange(2, dtype=jnp.uint32)))
    message = r'fit broken: the loss of replica 1 is not finite at step 10; lower config\.train\.learning_rate'
    with pytest.raises(UserError, match=message) as error:
        run(one_trainer, tmp_path, domains, name='broken', start=start)
    assert '\n' not in str(error.value)


def test_a_replica_at_its_end_does_not_change_and_its_draws_are_counted(domains, one_trainer, tmp_path):
    """Plans may grow while a fit goes on: a replica still at work goes on longer, one that has ended does not begin again."""
    plan = lambda policy: np.where(np.asarray(policy.weights[:, 0]) > 0.5, [30, 60], [10, 40])
    more = lambda params, policy, step: policy.replace(weights=policy.weights.at[:, 0].set(0.3 + step / 20))
    joint = run(one_trainer, tmp_path, domains, plan=plan, controller=more, every=20)
    assert joint.record['steps'] == [10, 60] and joint.record['drawn'] == [10 * 16, 60 * 16]
    alone = run(one_trainer, tmp_path, domains, plan=lambda policy: np.array([10, 10]), name='short')
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[0], b[0]), joint.params, alone.params)
