"""Samples in closed form: guidance as a line, one forward or two, two experts, and what the model reads."""
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tqd_jax.diffusion.objective import Objective, init_frozen
from tqd_jax.diffusion.path import Path
from tqd_jax.diffusion.sampler import (
    Sampling,
    advance_latents,
    draw_noise,
    guided_velocity,
    sample,
    sample_latents,
    stages,
    start_latents,
)
from tqd_jax.latents.pixels import PixelCodec
from tqd_jax.text.words import HashedWords


@pytest.mark.parametrize('batched', [True, False])
@pytest.mark.parametrize('guidance', [0.5, 1.0, 2.5])
def test_guidance_is_a_line_through_the_negative_and_the_caption_and_up_to_1_the_caption_alone(guidance, batched):
    velocity = lambda x, t, text: x + t[:, None] * text
    text, negative = jnp.array([[3.0], [5.0]]), jnp.array([[7.0], [7.0]])
    found = guided_velocity(velocity, text, negative, guidance, batched)(jnp.zeros((2, 1)), jnp.float32(0.5))
    np.testing.assert_allclose(found, (7 + max(guidance, 1.0) * (text - 7)) / 2)


def test_the_model_runs_as_often_and_on_as_much_as_said():
    """Rows that the model is traced with: 2 B at once, B in a loop, B alone."""
    def rows(guidance, batched):
        seen = []
        velocity = lambda x, t, text: (seen.append(len(x)), x)[1]
        jax.eval_shape(guided_velocity(velocity, jnp.ones((3, 2)), jnp.ones((3, 2)), guidance, batched), jnp.ones((3, 1)), jnp.float32(0))
        return set(seen)

    assert (rows(2.0, True), rows(2.0, False), rows(1.0, True)) == ({6}, {3}, {3})


@dataclasses.dataclass(frozen=True)
class Words(HashedWords):
    """Hashed words with another empty caption than zeros."""

    def empty(self, params):
        return np.array([4, 4], np.int32)


def test_samples_lead_away_from_the_text_encoders_empty_caption():
    """Euler's one step from noise to data, of a model that predicts the flow sum(text): x - (s_empty + 3 (s_text - s_empty))."""
    model = lambda trained, frozen, x, t, text: 0 * x + text.sum(1).astype(jnp.float32).reshape(-1, 1, 1, 1, 1) / 1000
    objective = Objective(model=model, codec=Floats(), text=Words(length=2, vocab=9), path=Path(), seed=0)
    keys = jax.random.split(jax.random.key(0), 2)
    settings, frozen = Sampling(steps=1, solver='euler', guidance=3.0), init_frozen(objective, {})
    draw = lambda text, **negative: np.asarray(sample(objective, {}, frozen, keys, np.array(text, np.int32), (1, 1, 1, 3), settings,
                                                      **negative))
    noise = jax.vmap(lambda key: jax.random.normal(key, (1, 1, 1, 3)))(keys)
    flow = np.array([8 + 3 * (5 - 8), 8 + 3 * (9 - 8)]) / 1000
    np.testing.assert_allclose(draw([[2, 3], [4, 5]]), noise - flow.reshape(2, 1, 1, 1, 1), atol=1e-6)
    away = np.array([6 + 3 * (5 - 6), 6 + 3 * (9 - 6)]) / 1000
    led = draw([[2, 3], [4, 5]], negative=jnp.array([[1, 5]], jnp.int32))
    np.testing.assert_allclose(led, noise - away.reshape(2, 1, 1, 1, 1), atol=1e-6)


class Floats(PixelCodec):
    """Shows the latents as they are."""

    def decode(self, params, latents):
        return latents


KEYS, TEXT, NEGATIVE = jax.random.split(jax.random.key(1), 3), jnp.array([[0.5], [1.0], [2.0]]), jnp.array([[-1.0]])


def pulled(trained, frozen, x, t, text):
    """A flow that depends on everything: towards a place that time and text shift, by an expert's own strength."""
    return trained * jnp.tanh(x - t.reshape(-1, 1, 1, 1, 1)) + text.reshape(-1, 1, 1, 1, 1)


OBJECTIVE = Objective(model=pulled, codec=Floats(), text=HashedWords(length=1, vocab=9), path=Path(), seed=0)


@pytest.mark.parametrize('solver', ['euler', 'heun', 'unipc'])
def test_two_forwards_one_after_the_other_are_the_batch_of_both(solver):
    settings, noise = Sampling(steps=5, solver=solver, guidance=3.0), draw_noise(KEYS, (2, 3, 3, 1))
    draw = lambda batched: sample_latents(OBJECTIVE, jnp.float32(2.0), {'model': {}}, noise, TEXT, NEGATIVE,
                                          dataclasses.replace(settings, guidance_batched=batched))
    np.testing.assert_allclose(draw(True), draw(False), rtol=1e-6, atol=1e-6)


WAN = Sampling(steps=10, solver='unipc', guidance=3.0, guidance_high=4.0, shift=12.0, grid='original', boundary=0.875, integer_time=True)


def test_each_expert_has_its_steps_and_its_guidance():
    one, two = stages(WAN)
    assert (one.start, one.stop, one.expert, one.guidance) == (0, two.start, 'high', 4.0)
    assert (two.stop, two.expert, two.guidance) == (10, 'low', 3.0) and 0 < two.start < 10
    [alone] = stages(dataclasses.replace(WAN, boundary=None, guidance_high=None))
    assert (alone.start, alone.stop, alone.expert, alone.guidance) == (0, 10, None, 3.0)
    assert [stage.guidance for stage in stages(dataclasses.replace(WAN, guidance_high=None))] == [3.0, 3.0]
    assert [stage.expert for stage in stages(dataclasses.replace(WAN, steps=1))] == ['high']


def test_a_trajectory_passes_from_one_expert_to_the_other_by_one_program():
    """The two experts in turn are one model that switches at the boundary, and the state that is handed over is all there is."""
    traces = []

    @jax.jit
    def advance(trained, state, start, stop, guidance):
        traces.append(1)
        return advance_latents(OBJECTIVE, trained, {'model': {}}, state, TEXT, NEGATIVE, WAN, start, stop, guidance)

    noise, state, strength = draw_noise(KEYS, (2, 3, 3, 1)), None, {'high': 2.0, 'low': -1.0}
    state = start_latents(noise.astype(jnp.bfloat16), WAN)
    assert state.x.dtype == jnp.float32
    state = start_latents(noise, WAN)
    for stage in stages(WAN):
        state = advance(jnp.float32(strength[stage.expert]), state, stage.start, stage.stop, jnp.float32(stage.guidance))
    switching = dataclasses.replace(OBJECTIVE, model=lambda trained, frozen, x, t, text: pulled(
        jnp.where(t.reshape(-1, 1, 1, 1, 1) >= 0.875, 2.0, -1.0), frozen, x, t, text))
    whole = jax.jit(lambda noise: sample_latents(switching, {}, {'model': {}}, noise, TEXT, NEGATIVE, WAN))(noise)
    np.testing.assert_allclose(state.x, whole, rtol=2e-5, atol=2e-5)
    assert len(traces) == 1


@pytest.mark.parametrize('integer_time', [False, True])
def test_the_model_reads_sigma_or_whole_thousandths_of_it(integer_time):
    """One step of Euler with the time as velocity: x_1 = x_0 - sigma_0 t_0, sigma_0 = 0.99966 in the original grid of shift 3."""
    objective = dataclasses.replace(OBJECTIVE, model=lambda trained, frozen, x, t, text: 0 * x + t.reshape(-1, 1, 1, 1, 1))
    settings = Sampling(steps=1, solver='euler', grid='original', shift=3.0, integer_time=integer_time)
    found = sample_latents(objective, {}, {'model': {}}, jnp.zeros((3, 1, 1, 1, 1)), TEXT, NEGATIVE, settings)
    sigma = 3 * 0.999 / (1 + 2 * 0.999)
    np.testing.assert_allclose(found, -sigma * (0.999 if integer_time else sigma), rtol=1e-6)


def test_a_model_in_half_precision_moves_a_state_in_full():
    half = dataclasses.replace(OBJECTIVE, model=lambda trained, frozen, x, t, text: x.astype(jnp.bfloat16))
    for solver in ('euler', 'heun', 'unipc'):
        found = sample_latents(half, {}, {'model': {}}, draw_noise(KEYS, (1, 1, 1, 1)), TEXT, NEGATIVE, Sampling(steps=3, solver=solver))
        assert found.dtype == jnp.float32


@pytest.mark.parametrize(('bad', 'message'), [({'solver': 'rk4'}, "'rk4'"), ({'grid': 'karras'}, "'karras'"), ({'steps': 0}, 'got 0'),
                                              ({'guidance_high': 4.0}, 'wants a boundary')])
def test_settings_that_do_not_fit_are_refused(bad, message):
    with pytest.raises(ValueError, match=message):
        Sampling(**{'steps': 3, **bad})
