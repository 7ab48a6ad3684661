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
from tqd_jax.timesteps.law import sample_timesteps, stratified_uniforms
from transfer_jax.runtime.keys import example_keys, stream_key


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective:
    """What is trained: model(trained, frozen, x, t, text) -> output, on which path, between which codec and text encoder, by which seed.

    dropout: whether the model takes keys [B] for dropout as a sixth argument.
    """
    model: Callable
    codec: Codec
    text: TextEncoder
    path: Path
    seed: int
    caption_dropout: float = 0.1
    stratified: bool = True
    dropout: bool = False


def init_frozen(objective, model):
    """The tree of what no step changes: {'model': frozen parameters of the model, 'codec': the codec's, 'text': the text encoder's}."""
    codec, text = (stream_key(objective.seed, name) for name in ('codec', 'text'))
    return {'model': model, 'codec': objective.codec.init(codec), 'text': objective.text.init(text)}


def draw_timesteps(objective, batch, step):
    """t [B]: the quantile of each example's law at a uniform number, which is a function of (seed, step, example)."""
    uniforms = jax.vmap(jax.random.uniform)(example_keys(objective.seed, 't', step, batch.example))
    if objective.stratified:
        uniforms = stratified_uniforms(stream_key(objective.seed, 'strata', step), uniforms)
    else:
        uniforms = jnp.clip(uniforms, 1e-7, 1 - 1e-7)
    return sample_timesteps(batch.law, uniforms)


def dropout_keys(objective, batch, step):
    """Keys [B] of the model's dropout in a training step, functions of (seed, step, example); None where it has no dropout."""
    return example_keys(objective.seed, 'dropout', step, batch.example) if objective.dropout else None


def losses(objective, trained, frozen, batch, t, step, stream, dropout=None):
    """Loss of every example [B] at its t [B], with noise of (seed, stream, step, example).

    batch: a Batch, of which video, text and example are read. frozen: the tree of init_frozen. dropout: of dropout_keys in training; None,
    for no dropout, in evaluation.
    """
    x0 = latents_of(objective, frozen, batch.video)
    keys = example_keys(objective.seed, stream, step, batch.example)
    eps = jax.vmap(lambda key: jax.random.normal(key, x0.shape[1:]))(keys)
    text = objective.text.encode(frozen['text'], batch.text)
    extra = () if dropout is None else (dropout,)
    output = objective.model(trained, frozen['model'], objective.path.noised(x0, eps, t), t, text, *extra)
    return loss_per_example(output, objective.path.target(x0, eps, t))


def latents_of(objective, frozen, video):
    """float32 latents [B, f, h, w, C] of a Batch's video: uint8 frames go through the codec, latents stay."""
    return objective.codec.encode(frozen['codec'], video) if video.dtype == jnp.uint8 else video


def drop_captions(objective, batch, step):
    """The Batch with each caption replaced by the empty one with probability caption_dropout, for classifier-free guidance."""
    uniforms = jax.vmap(jax.random.uniform)(example_keys(objective.seed, 'caption', step, batch.example))
    dropped = (uniforms < objective.caption_dropout).reshape(-1, *(1,) * (batch.text.ndim - 1))
    return dataclasses.replace(batch, text=jnp.where(dropped, objective.text.empty(), batch.text))
