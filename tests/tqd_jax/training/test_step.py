"""The pure step: one draw per example on any mesh, accumulation, weights and laws as arrays, one compilation."""
import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tqd_jax.data.batch import uniform_batch
from tqd_jax.diffusion.objective import Objective, draw_timesteps, drop_captions, init_frozen, losses
from tqd_jax.diffusion.path import Path
from tqd_jax.latents.pixels import PixelCodec
from tqd_jax.text.words import HashedWords
from tqd_jax.timesteps.law import Base, make_law
from tqd_jax.training.state import init_state
from tqd_jax.training.step import eval_step, train_step
from transfer_jax.runtime.parallel.mesh import make_mesh, to_global

B = 16


def model(params, frozen, x, t, tokens):
    """A small but nonlinear model of every input."""
    context = jnp.sin(params['time'] * t + params['text'] * tokens.sum(1).astype(jnp.float32)).reshape(-1, 1, 1, 1, 1)
    return jnp.tanh(x @ params['mix']) * context + params['bias'].reshape(1, 1, 1, 1, 3)


def start():
    params = {'mix': np.eye(3) * 0.5, 'bias': np.zeros(3), 'time': 1.0, 'text': 0.1}
    return init_state(jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), params), OPTIMIZER)


OPTIMIZER = optax.adamw(1e-2)
OBJECTIVE = Objective(model=model, codec=PixelCodec(), text=HashedWords(length=3, vocab=9), path=Path(), seed=3)
FROZEN = init_frozen(OBJECTIVE, {})


def batch(law=None, weight=1.0, offset=0):
    rng = np.random.default_rng(offset)
    video, text = rng.integers(0, 256, (B, 2, 4, 4, 3), dtype=np.uint8), rng.integers(0, 9, (B, 3), dtype=np.int32)
    return dataclasses.replace(uniform_batch(video, text), example=np.arange(B, dtype=np.uint32) + offset,
                               weight=np.broadcast_to(np.float32(weight), (B,)).copy(), law=law or make_law(B, alpha=3.0, beta=2.0))


def run(mesh, accumulate=1, steps=5):
    step = jax.jit(functools.partial(train_step, OBJECTIVE, OPTIMIZER, accumulate, 0.9))
    state, drawn = start(), []
    for i in range(steps):
        state, metrics = step(state, FROZEN, to_global(batch(offset=i * B), mesh))
        drawn.append(np.asarray(metrics['t']))
    return state, np.stack(drawn)


def test_one_and_eight_devices_draw_the_same_and_agree_after_five_steps():
    one, t_one = run(make_mesh(devices=jax.devices()[:1]))
    eight, t_eight = run(make_mesh(devices=jax.devices()))
    split, t_split = run(make_mesh(2, 4, devices=jax.devices()))
    np.testing.assert_array_equal(t_one, t_eight)
    np.testing.assert_array_equal(t_one, t_split)
    for other in (eight, split):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), one.trained, other.trained)


def test_accumulation_is_the_same_update():
    whole, _ = run(make_mesh(devices=jax.devices()[:1]))
    sliced, _ = run(make_mesh(devices=jax.devices()[:1]), accumulate=4)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), whole.trained, sliced.trained)


def test_every_law_and_weight_runs_in_one_compilation():
    traces = []
    step = jax.jit(lambda state, arrays: (traces.append(1), train_step(OBJECTIVE, OPTIMIZER, 1, 0.9, state, FROZEN, arrays))[1])
    laws = [make_law(B), make_law(B, alpha=0.5, beta=6.0), make_law(B, base=Base(scale=1.0), shift=3.0), make_law(B, t_min=0.5),
            make_law(B, base=Base(density=(1.0, 4.0, 2.0)))]
    state = start()
    for i, law in enumerate(laws):
        state, _ = step(state, batch(law, weight=i + 1.0, offset=i))
    assert len(traces) == 1 and int(state.step) == len(laws)


def test_a_draw_depends_on_seed_step_and_example_alone():
    given = jax.jit(functools.partial(draw_timesteps, OBJECTIVE))
    first = given(batch(offset=0), jnp.int32(7))
    black = dataclasses.replace(batch(offset=0), video=np.zeros((B, 2, 4, 4, 3), np.uint8))
    np.testing.assert_array_equal(first, given(black, jnp.int32(7)))
    assert not np.allclose(first, given(batch(offset=0), jnp.int32(8))) and not np.allclose(first, given(batch(offset=B), jnp.int32(7)))


def test_weight_zero_is_as_if_the_example_were_not_there():
    arrays = batch()
    arrays.weight[8:] = 0
    spoiled = dataclasses.replace(arrays, video=arrays.video.copy())
    spoiled.video[8:] = 255
    step = functools.partial(train_step, OBJECTIVE, OPTIMIZER, 1, 0.9)
    jax.tree.map(np.testing.assert_array_equal, step(start(), FROZEN, arrays)[0].trained, step(start(), FROZEN, spoiled)[0].trained)


def test_the_loss_is_the_weighted_mean_of_its_parts_and_scale_free():
    weight = np.linspace(0.1, 2, B, dtype=np.float32)
    arrays = dataclasses.replace(batch(), weight=weight)
    _, metrics = train_step(OBJECTIVE, OPTIMIZER, 1, 0.9, start(), FROZEN, arrays)
    assert float(metrics['loss']) == pytest.approx(np.average(metrics['loss_per_example'], weights=weight), rel=1e-5)
    _, scaled = train_step(OBJECTIVE, OPTIMIZER, 1, 0.9, start(), FROZEN, dataclasses.replace(arrays, weight=7 * weight))
    assert float(scaled['loss']) == pytest.approx(float(metrics['loss']), rel=1e-5)


def test_the_loss_in_evaluation_depends_on_the_example_alone():
    """In any order of the batch an example has the same loss; under another number it has other noise, hence another loss."""
    t, arrays, order = jnp.linspace(0.05, 0.95, B, dtype=jnp.float32), batch(), np.random.default_rng(0).permutation(B)
    loss = lambda arrays, t: np.asarray(eval_step(OBJECTIVE, start().trained, FROZEN, arrays, t))
    first = loss(arrays, t)
    np.testing.assert_allclose(loss(jax.tree.map(lambda x: x[order], arrays), t[order]), first[order], rtol=1e-6)
    assert (loss(dataclasses.replace(arrays, example=arrays.example + B), t) != first).all()


def test_latents_in_the_place_of_frames_have_the_same_loss():
    """What a codec encoded beforehand is not encoded again."""
    t, frames = jnp.linspace(0.05, 0.95, B, dtype=jnp.float32), batch()
    latents = dataclasses.replace(frames, video=OBJECTIVE.codec.encode({}, frames.video))
    one, two = (losses(OBJECTIVE, start().trained, FROZEN, arrays, t, jnp.int32(0), 'noise') for arrays in (frames, latents))
    np.testing.assert_array_equal(one, two)


def test_the_step_of_an_expert_is_of_its_range_and_weighs_clips_alike():
    objective = dataclasses.replace(OBJECTIVE, t_range=(0.875, 1.0))
    arrays = batch(make_law(B, alpha=np.linspace(1, 6, B), beta=2.0))
    _, metrics = train_step(objective, OPTIMIZER, 1, 0.9, start(), FROZEN, arrays)
    assert 0.875 <= metrics['t'].min() and metrics['t'].max() <= 1
    assert float(metrics['loss']) == pytest.approx(np.average(metrics['loss_per_example']), rel=1e-5)  # how often they are drawn weighs


def test_the_training_step_alone_drops_in_lora():
    called = []
    objective = dataclasses.replace(OBJECTIVE, lora_dropout=0.2, model=lambda *inputs, dropout=None: (
        called.append(dropout), model(*inputs))[1])
    train_step(objective, OPTIMIZER, 1, 0.9, start(), FROZEN, batch())
    eval_step(objective, start().trained, FROZEN, batch(), jnp.full(B, 0.5))
    assert called[0].shape == (B,) and called[-1] is None and len(called) == 2


@dataclasses.dataclass(frozen=True)
class Offset:
    """A text encoder with a parameter, whose empty caption is no zero: two floats, of which it adds its parameter to."""

    def init(self, key):
        return {'offset': jnp.float32(2.0)}

    def encode(self, params, prepared):
        return prepared + params['offset']

    def empty(self, params):
        return np.array([5.0, -7.0], np.float32)


def test_a_dropped_caption_is_the_text_encoders_empty_one_and_the_model_reads_the_encoded_one():
    read = []
    objective = dataclasses.replace(OBJECTIVE, text=Offset(), caption_dropout=0.5,
                                    model=lambda trained, frozen, x, t, text: (read.append(text), 0 * x)[1])
    captions = np.arange(2 * B, dtype=np.float32).reshape(B, 2)
    arrays = drop_captions(objective, init_frozen(objective, {}), dataclasses.replace(batch(), text=captions), jnp.int32(0))
    empty = (np.asarray(arrays.text) == [5.0, -7.0]).all(1)
    assert 0 < empty.sum() < B
    np.testing.assert_array_equal(arrays.text[~empty], captions[~empty])
    losses(objective, {}, init_frozen(objective, {}), arrays, jnp.full(B, 0.5), jnp.int32(0), 'noise')
    np.testing.assert_array_equal(read[0], arrays.text + 2.0)
