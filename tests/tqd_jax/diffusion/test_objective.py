"""The objective of a part of the noise levels, of data encoded beforehand, and with LoRA's dropout."""
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tqd_jax.data.batch import uniform_batch
from tqd_jax.diffusion.objective import Objective, draw_timesteps, drop_captions, init_frozen, latents_of, losses
from tqd_jax.diffusion.path import Path, precondition
from tqd_jax.latents.pixels import PixelCodec
from tqd_jax.text.words import HashedWords
from tqd_jax.timesteps.law import make_law
from transfer_jax.runtime.keys import example_keys

B = 16
SEEN = []


def model(trained, frozen, x, t, text, dropout=None):
    """Zero, and a record of the last call."""
    SEEN[:] = [(x, text, dropout)]
    return jnp.zeros_like(x)


@dataclasses.dataclass(frozen=True)
class Features:
    """Captions that were encoded beforehand; the empty one lies in the parameters."""

    def init(self, key):
        return {'empty': jnp.zeros((2, 3), jnp.bfloat16)}

    def encode(self, params, prepared):
        return prepared

    def empty(self, params):
        return params['empty']


OBJECTIVE = Objective(model=model, codec=PixelCodec(), text=Features(), path=Path(), seed=3)


def batch(dtype=jnp.bfloat16):
    rng = np.random.default_rng(0)
    video, text = (jnp.asarray(rng.normal(size=(B, *shape)), dtype) for shape in ((2, 4, 4, 3), (2, 3)))
    law = make_law(B, alpha=np.linspace(0.5, 5, B), beta=np.linspace(5, 0.5, B))
    return dataclasses.replace(uniform_batch(video, text), law=law, weight=np.linspace(1, 2, B, dtype=np.float32))


def test_parameters_from_outside_take_the_place_of_fresh_ones():
    given = init_frozen(OBJECTIVE, {'w': 1}, codec={}, text={'empty': 7})
    assert given == {'model': {'w': 1}, 'codec': {}, 'text': {'empty': 7}}
    assert init_frozen(OBJECTIVE, {})['text']['empty'].shape == (2, 3)


def test_latents_and_features_in_half_precision_are_noised_in_full_and_read_as_they_are():
    one, frozen = batch(), init_frozen(OBJECTIVE, {}, codec={}, text={})
    loss_of = lambda batch: losses(OBJECTIVE, {}, frozen, batch, jnp.full(B, 0.5), jnp.int32(0), 'noise')
    loss = loss_of(one)
    [(x, text, dropout)] = SEEN
    assert x.dtype == loss.dtype == jnp.float32 and text.dtype == jnp.bfloat16 and dropout is None
    np.testing.assert_array_equal(latents_of(OBJECTIVE, frozen, one.video), one.video.astype(jnp.float32))
    np.testing.assert_array_equal(loss, loss_of(dataclasses.replace(one, video=one.video.astype(jnp.float32))))


def test_a_dropped_features_place_is_taken_by_the_empty_captions_from_the_parameters():
    objective, empty = dataclasses.replace(OBJECTIVE, caption_dropout=0.5), jnp.full((2, 3), 9.0)
    one = batch()
    dropped = drop_captions(objective, init_frozen(objective, {}, text={'empty': empty}), one, jnp.int32(0)).text
    gone = np.asarray(dropped == 9).all((1, 2))
    assert dropped.dtype == jnp.bfloat16 and 0 < gone.sum() < B
    np.testing.assert_array_equal(dropped[~gone], one.text[~gone])


@pytest.mark.parametrize('wrapped', [False, True])
def test_loras_dropout_has_the_keys_of_seed_step_and_example_in_training_alone(wrapped):
    objective = dataclasses.replace(OBJECTIVE, lora_dropout=0.1, model=precondition(model, Path(), 0.0, 1.0) if wrapped else model)
    one, frozen, t = batch(), init_frozen(OBJECTIVE, {}), jnp.full(B, 0.5)
    losses(objective, {}, frozen, one, t, jnp.int32(5), 'noise', training=True)
    found, expected = SEEN[0][2], example_keys(3, 'lora', jnp.int32(5), one.example)
    np.testing.assert_array_equal(jax.random.key_data(found), jax.random.key_data(expected))
    for other, training in ((objective, False), (dataclasses.replace(objective, lora_dropout=0.0), True)):
        losses(other, {}, frozen, one, t, jnp.int32(5), 'noise', training=training)
        assert SEEN[0][2] is None


def test_an_expert_draws_in_its_range():
    one = batch()
    whole = draw_timesteps(OBJECTIVE, one, jnp.int32(1))
    assert float(whole.min()) < 0.4 and float(whole.max()) > 0.8
    for bounds in ((0.0, 0.7), (0.7, 1.0)):
        expert = dataclasses.replace(OBJECTIVE, t_range=bounds)
        t = draw_timesteps(expert, one, jnp.int32(1))
        assert np.float32(bounds[0]) <= t.min() and t.max() <= np.float32(bounds[1])


@pytest.mark.parametrize('bad', [dict(t_range=(0.5, 0.5)), dict(t_range=(-0.1, 1.0)), dict(t_range=(0.5, 1.1)), dict(lora_dropout=1.0)])
def test_impossible_objectives_are_refused(bad):
    with pytest.raises(ValueError, match='an objective needs'):
        dataclasses.replace(OBJECTIVE, text=HashedWords(length=1, vocab=2), **bad)
