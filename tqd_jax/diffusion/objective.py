"""The training objective: every example's t from its own law, and its loss there.

Everything random about an example comes from the key of (seed, stream, step, example): the same on any mesh and after any resume.
"""
import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from tqd_jax.diffusion.path import Path, loss_per_example
from tqd_jax.latents.codec import Codec
from tqd_jax.timesteps.law import sample_timesteps, stratified_uniforms
from transfer_jax.runtime.keys import example_keys, stream_key


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective:
    """What is trained: model(params, x, t, tokens) -> output, on which path, through which codec, from which seed."""
    model: Callable
    codec: Codec
    path: Path
    seed: int
    caption_dropout: float = 0.1
    stratified: bool = True


def draw_timesteps(objective, batch, step):
    """t [B]: each example's law at its own level, which is a function of (seed, step, example)."""
    uniforms = jax.vmap(jax.random.uniform)(example_keys(objective.seed, 't', step, batch['example']))
    if objective.stratified:
        uniforms = stratified_uniforms(stream_key(objective.seed, 'strata', step), uniforms)
    else:
        uniforms = jnp.clip(uniforms, 1e-7, 1 - 1e-7)
    return sample_timesteps(batch['law'], uniforms)


def losses(objective, params, batch, t, step, stream):
    """Loss of every example [B] at its t [B], with noise of (seed, stream, step, example)."""
    x0 = objective.codec.encode(batch['frames'])
    keys = example_keys(objective.seed, stream, step, batch['example'])
    eps = jax.vmap(lambda key: jax.random.normal(key, x0.shape[1:]))(keys)
    output = objective.model(params, objective.path.noised(x0, eps, t), t, batch['tokens'])
    return loss_per_example(output, objective.path.target(x0, eps, t))


def drop_captions(objective, batch, step):
    """The batch with each caption replaced by "nothing" (token 0) with probability caption_dropout, for classifier-free guidance."""
    uniforms = jax.vmap(jax.random.uniform)(example_keys(objective.seed, 'caption', step, batch['example']))
    return batch | {'tokens': jnp.where((uniforms < objective.caption_dropout)[:, None], 0, batch['tokens'])}
