"""Many runs as one program: each is the plain loop of train_step, whatever replicas and devices it shares; arms of a seed share draws."""
import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

from benchmarks.studies.training.arms import Plan, cumulative_shares, stack
from benchmarks.studies.training.runs import NOISE_BINS, T_BINS, Material, Runs, Sampling, draw_batch, trainer
from tqd_jax.data.batch import uniform_batch
from tqd_jax.diffusion.objective import Objective, init_frozen
from tqd_jax.diffusion.path import Path
from tqd_jax.latents.pixels import PixelCodec
from tqd_jax.text.words import HashedWords
from tqd_jax.timesteps.law import make_law
from tqd_jax.training.state import init_state
from tqd_jax.training.step import train_step
from transfer_jax.runtime.keys import stream_key

N, BATCH, EVERY, SHAPE = 12, 8, 3, (2, 4, 4, 3)
RNG = np.random.default_rng(0)
FRAMES, TOKENS = RNG.integers(0, 256, (N, *SHAPE), dtype=np.uint8), RNG.integers(0, 9, (N, 3), dtype=np.int32)
HALF = (np.arange(N) < 6).astype(np.float32)
PLANS = [Plan(law=make_law(N), acceptance=np.ones(N, np.float32)), Plan(law=make_law(N, alpha=4.0, beta=2.0), acceptance=HALF),
         Plan(law=make_law(N), acceptance=np.ones(N, np.float32))]
OPTIMIZER = optax.adamw(1e-2)


def init(key):
    mix = jnp.eye(3) * 0.5 + 0.1 * jax.random.normal(key, (3, 3))
    return {'mix': mix, 'bias': jnp.zeros(3), 'time': jnp.ones(()), 'text': jnp.ones(())}


def model(params, frozen, x, t, tokens):
    context = jnp.sin(params['time'] * t + params['text'] * tokens.sum(1).astype(jnp.float32)).reshape(-1, 1, 1, 1, 1)
    return jnp.tanh(x @ params['mix']) * context + params['bias'].reshape(1, 1, 1, 1, 3)


OBJECTIVE = Objective(model=model, codec=PixelCodec(), text=HashedWords(length=3, vocab=9), path=Path(), seed=0)


@functools.cache
def make(devices, objective=OBJECTIVE):
    sampling = Sampling(batch=2, steps=3, solver='heun', guidance=2.0)
    return trainer(objective, init, OPTIMIZER, sampling, SHAPE, batch=BATCH, every=EVERY, ema=0.9,
                   devices=np.array(jax.devices()[:devices]))


def material(plans=PLANS):
    whole = stack(plans)
    return jax.tree.map(jnp.asarray, Material(frames=FRAMES, tokens=TOKENS, law=whole.law, cumulative=cumulative_shares(whole.acceptance)))


def runs(plan, seed):
    return Runs(plan=jnp.asarray(plan, jnp.int32), seed=jnp.asarray(seed, jnp.uint32))


def trained(devices, plan, seed, segments=2):
    """(Carry as numpy, mean loss [R]) after 2 x EVERY steps."""
    made, own = make(devices), runs(plan, seed)
    carry = made.start(made.init(own.seed))
    for _ in range(segments):
        carry, loss = made.advance(material(), carry, own)
    return jax.device_get((carry, loss))


def close(one, other):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6), one, other)


@pytest.fixture(scope='module')
def four():
    """Plans 0, 1, 2, 0 at seeds 3, 3, 3, 4: two replicas on each of two devices."""
    return trained(2, [0, 1, 2, 0], [3, 3, 3, 4])


def test_a_run_is_the_plain_loop_of_train_step(four):
    objective, frozen = dataclasses.replace(OBJECTIVE, seed=jnp.uint32(3)), init_frozen(OBJECTIVE, {})
    step = jax.jit(lambda state, batch: train_step(objective, OPTIMIZER, 1, 0.9, state, frozen, batch))
    state, everything, losses = init_state(init(stream_key(3, 'init')), OPTIMIZER), material(), []
    for number in range(2 * EVERY):
        uniforms = jax.random.uniform(stream_key(3, 'clips', number), (BATCH,))
        clip = np.minimum(np.floor(np.asarray(uniforms) * 6).astype(int), 5)  # plan 1 draws the first six clips, all alike
        law = jax.tree.map(lambda leaf, clip=clip: leaf[1, clip], everything.law)
        state, metrics = step(state, dataclasses.replace(uniform_batch(FRAMES[clip], TOKENS[clip]), clip=clip, law=law))
        losses.append(float(metrics['loss']))
    carry, loss = four
    close(jax.tree.map(lambda x: x[1], carry.state.trained), state.trained)
    close(jax.tree.map(lambda x: x[1], carry.state.average), state.average)
    assert loss[1] == pytest.approx(np.mean(losses[EVERY:]), rel=1e-4)
    assert (carry.state.step == 2 * EVERY).all()


def test_replicas_and_devices_do_not_change_a_run(four):
    alone, _ = trained(1, [1], [3])
    spread, _ = trained(4, [0, 1, 2, 0], [3, 3, 3, 4])
    close(jax.tree.map(lambda x: x[1:2], four[0].state), alone.state)
    close(four[0].state, spread.state)
    np.testing.assert_array_equal(four[0].t_histogram, spread.t_histogram)


def test_arms_of_a_seed_share_draws_and_seeds_do_not(four):
    carry, _ = four
    bias = carry.state.trained['bias']
    np.testing.assert_allclose(bias[0], bias[2], rtol=2e-5)  # plans 0 and 2 are the same
    assert np.abs(bias[0] - bias[1]).max() > 1e-4 and np.abs(bias[0] - bias[3]).max() > 1e-4
    np.testing.assert_array_equal(carry.t_histogram.sum(1), 2 * EVERY * BATCH)


def test_clips_are_drawn_in_proportion_to_acceptance_and_t_from_their_law():
    acceptance = np.array([0, 1, 2, 0, 3, 4, 0, 0, 1, 1, 4, 0], np.float32)
    everything = material([Plan(law=make_law(N, alpha=4.0, beta=2.0), acceptance=acceptance)] * 3)
    draw = jax.jit(jax.vmap(lambda step: draw_batch(everything, Runs(plan=jnp.int32(1), seed=jnp.uint32(5)), step, 400).clip))
    counts = np.bincount(np.asarray(draw(jnp.arange(50))).ravel(), minlength=N)
    expected = 20000 * acceptance / acceptance.sum()
    assert (counts[acceptance == 0] == 0).all()
    assert stats.chisquare(counts[acceptance > 0], expected[acceptance > 0]).pvalue > 1e-3
    made, own = make(1), runs([1], [5])
    carry = made.start(made.init(own.seed))
    for _ in range(40):
        carry, _ = made.advance(everything, carry, own)
    share = np.asarray(carry.t_histogram)[0] / carry.t_histogram.sum()
    np.testing.assert_allclose(share, np.diff(stats.beta.cdf(np.linspace(0, 1, T_BINS + 1), 4, 2)), atol=0.03)


def test_validation_in_closed_form():
    """A model with output 0 has the loss |eps - x0|^2: 1 + the mean square of x0, whatever the noise; each bin has its own noise."""
    made = make(1, dataclasses.replace(OBJECTIVE, model=lambda params, frozen, x, t, tokens: 0 * x * params['time']))
    params, level = made.init(jnp.zeros(1, jnp.uint32)), np.linspace(0.05, 0.95, N).astype(np.float32)
    loss = np.asarray(made.validate(FRAMES, TOKENS, level, params))[0]
    x0 = FRAMES / 127.5 - 1
    error = np.sqrt((2 + 4 * np.mean(x0**2)) / x0.size)  # of a mean of squared standard normals, shifted
    assert loss.shape == (NOISE_BINS,) and len(set(loss.tolist())) == NOISE_BINS
    np.testing.assert_allclose(loss, 1 + np.mean(x0**2), atol=4 * error)
    seen = []
    watching = lambda params, frozen, x, t, tokens: jax.debug.callback(lambda t: seen.append(t), t) or 0 * x
    made = make(1, dataclasses.replace(OBJECTIVE, model=watching))
    jax.block_until_ready(made.validate(FRAMES, TOKENS, level, params))
    jax.effects_barrier()
    np.testing.assert_allclose(np.sort(np.concatenate(seen)), np.sort(((np.arange(10)[:, None] + level) / 10).ravel()), atol=1e-6)


def test_samples_depend_on_seed_and_caption_alone():
    made = make(2)
    params = jax.tree.map(lambda x: jnp.stack([x[0], x[0]]), made.init(jnp.zeros(2, jnp.uint32)))
    same = np.asarray(made.draw(TOKENS[:4], params, jnp.asarray([7, 7], jnp.uint32)))
    other = np.asarray(made.draw(TOKENS[:4], params, jnp.asarray([7, 8], jnp.uint32)))
    assert same.shape == (2, 4, *SHAPE) and same.dtype == np.uint8
    np.testing.assert_array_equal(same[0], same[1])
    np.testing.assert_array_equal(same[0], other[0])
    assert (other[1] != same[1]).mean() > 0.5
    first = np.asarray(made.draw(TOKENS[:2], params, jnp.asarray([7, 7], jnp.uint32)))
    np.testing.assert_array_equal(first[0], same[0, :2])
