"""The training objective: every example's t from its own law, and its loss there.

Everything random about an example comes from the key of (seed, stream, step, example): the same on any mesh and after any resume.
"""
import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from tqd_jax.diffusion.path import Path, loss_per_example
from tqd_jax.latents.codec import Codec
from tqd_jax.text.encoder import TextEncoder
from tqd_jax.timesteps.between import sample_between
from tqd_jax.timesteps.law import sample_timesteps, stratified_uniforms
from transfer_jax.runtime.keys import example_keys, stream_key

EVERYWHERE = (0.0, 1.0)  # the range of t of one model for all noise levels


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective:
    """What is trained: model(trained, frozen, x, t, text, dropout=None) -> output, on which path, between which codec and text encoder.

    dropout: one key an example [B]; the model reads it where lora_dropout > 0, in training alone. t_range: (lo, hi) in [0, 1], the t that
    the model is trained at, for an expert of a part of the noise levels. Raises ValueError where a value is out of range.
    """
    model: Callable
    codec: Codec
    text: TextEncoder
    path: Path
    seed: int
    caption_dropout: float = 0.1
    stratified: bool = True
    lora_dropout: float = 0.0
    t_range: tuple = EVERYWHERE

    def __post_init__(self):
        lo, hi = self.t_range
        if not (0 <= lo < hi <= 1 and 0 <= self.lora_dropout < 1):
            raise ValueError(f'an objective needs 0 <= lo < hi <= 1 and a lora_dropout in [0, 1), got t_range = {self.t_range} and '
                             f'{self.lora_dropout}')


def init_frozen(objective, model, codec=None, text=None):
    """The tree of what no step changes: {'model': frozen parameters of the model, 'codec': the codec's, 'text': the text encoder's}.

    codec, text: loaded parameters; None: fresh ones by the seed. Where latents and features were computed beforehand, the step reads no
    more than what objective.text.empty reads.
    """
    fresh = lambda part, name, given: part.init(stream_key(objective.seed, name)) if given is None else given
    return {'model': model, 'codec': fresh(objective.codec, 'codec', codec), 'text': fresh(objective.text, 'text', text)}


def draw_timesteps(objective, batch, step, whole=lambda arrays: arrays):
    """t [B]: the quantile of each example's law, given t_range, at a uniform number, which is a function of (seed, step, example).

    whole: a layout in which every device has all rows, so that t has the same bits on every mesh: a CPU finds a quantile by other
    instructions for one row than for eight.
    """
    example, law = whole((batch.example, batch.law))
    uniforms = jax.vmap(jax.random.uniform)(example_keys(objective.seed, 't', step, example))
    if objective.stratified:
        uniforms = stratified_uniforms(stream_key(objective.seed, 'strata', step), uniforms)
    else:
        uniforms = jnp.clip(uniforms, 1e-7, 1 - 1e-7)
    if objective.t_range == EVERYWHERE:
        return whole(sample_timesteps(law, uniforms))
    return whole(sample_between(law, uniforms, *objective.t_range))


def losses(objective, trained, frozen, batch, t, step, stream, training=False):
    """Loss of every example [B] at its t [B], with noise of (seed, stream, step, example).

    batch: a Batch, of which video, text and example are read. frozen: the tree of init_frozen. training: with LoRA's dropout, by keys of
    (seed, 'lora', step, example).
    """
    x0 = latents_of(objective, frozen, batch.video)
    keys = example_keys(objective.seed, stream, step, batch.example)
    eps = jax.vmap(lambda key: jax.random.normal(key, x0.shape[1:]))(keys)
    text = objective.text.encode(frozen['text'], batch.text)
    dropout = {'dropout': example_keys(objective.seed, 'lora', step, batch.example)} if training and objective.lora_dropout > 0 else {}
    output = objective.model(trained, frozen['model'], objective.path.noised(x0, eps, t), t, text, **dropout)
    return loss_per_example(output, objective.path.target(x0, eps, t))


def latents_of(objective, frozen, video):
    """float32 latents [B, f, h, w, C] of a Batch's video: uint8 frames go through the codec, latents of any float dtype stay."""
    return objective.codec.encode(frozen['codec'], video) if video.dtype == jnp.uint8 else video.astype(jnp.float32)


def drop_captions(objective, frozen, batch, step):
    """The Batch with each caption replaced by the empty one with probability caption_dropout, for classifier-free guidance."""
    uniforms = jax.vmap(jax.random.uniform)(example_keys(objective.seed, 'caption', step, batch.example))
    dropped = (uniforms < objective.caption_dropout).reshape(-1, *(1,) * (batch.text.ndim - 1))
    empty = jnp.asarray(objective.text.empty(frozen['text'])).astype(batch.text.dtype)
    return dataclasses.replace(batch, text=jnp.where(dropped, empty, batch.text))
