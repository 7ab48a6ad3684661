"""A tiny Wan, trained for a few steps on a mesh: its program, its parameters after them, and what was drawn."""
import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tqd_jax.data.batch import uniform_batch
from tqd_jax.diffusion.objective import Objective
from tqd_jax.diffusion.path import Path
from tqd_jax.latents.pixels import PixelCodec
from tqd_jax.models.partition import partition, selects
from tqd_jax.models.wan.config import WanConfig
from tqd_jax.models.wan.frozen import stored
from tqd_jax.models.wan.lora import LoraConfig
from tqd_jax.models.wan.model import abstract_params, apply, init_params
from tqd_jax.text.words import HashedWords
from tqd_jax.timesteps.law import make_law
from tqd_jax.training.run import placed
from tqd_jax.training.state import init_state, shardings_of
from tqd_jax.training.step import train_step
from transfer_jax.runtime.parallel.mesh import batch_sharding, make_mesh, replicated, to_global

B, FRAMES, SIDE = 4, 4, 16
CONFIG = WanConfig(layers=2, heads=4, head_dim=8, ffn_dim=96, freq_dim=16, text_dim=12, text_len=3, in_channels=3, out_channels=3, vocab=9,
                   patch=(2, 2, 2))
TOKENS = math.prod(CONFIG.grid(FRAMES, SIDE, SIDE))
OPTIMIZER = optax.adamw(1e-3)
LORA = LoraConfig(rank=4, targets=('attention', 'cross', 'ffn'), dropout=0.3)


@functools.cache
def parameters(config):
    """Weights away from the zero start, on the host."""
    rng = np.random.default_rng(0)
    params = jax.jit(init_params, static_argnums=0)(dataclasses.replace(config, mesh=None), jax.random.key(0))
    return jax.tree.map(lambda leaf: np.asarray(leaf) + 0.05 * rng.standard_normal(leaf.shape).astype(np.float32), params)


def batch(number):
    rng = np.random.default_rng(number)
    video = rng.integers(0, 256, (B, FRAMES, SIDE, SIDE, 3), dtype=np.uint8)
    return dataclasses.replace(uniform_batch(video, rng.integers(0, 9, (B, 3), dtype=np.int32)),
                               example=np.arange(B, dtype=np.uint32) + number * B, law=make_law(B, alpha=3.0, beta=2.0))


def objective_of(config):
    return Objective(model=apply(config), codec=PixelCodec(), text=HashedWords(length=3, vocab=9), path=Path(), seed=3,
                     lora_dropout=0.0 if config.lora is None else config.lora.dropout)


def program(config, trains='full', storage='float32'):
    """(The compiled step, its abstract state and frozen parameters) of a config with a mesh."""
    trained, frozen = partition(abstract_params(config), selects(trains))
    state = placed(jax.eval_shape(functools.partial(init_state, optimizer=OPTIMIZER), trained), config.mesh)
    frozen = placed({'model': stored(frozen, storage), 'codec': {}, 'text': {}}, config.mesh)
    step = jax.jit(functools.partial(train_step, objective_of(config), OPTIMIZER, 1, 0.9), donate_argnums=0,
                   out_shardings=(shardings_of(state), replicated(config.mesh)))
    examples = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=batch_sharding(config.mesh)), batch(0))
    return step.lower(state, frozen, examples).compile(), state, frozen


def run(mesh, trains='full', steps=5, **changes):
    """(Trained parameters, t [steps, B], losses [steps, B]) after steps from the same weights."""
    config = dataclasses.replace(CONFIG, mesh=mesh, **changes)
    step, abstract, kept = program(config, trains)
    trained, frozen = partition(parameters(config), selects(trains))
    state = jax.device_put(init_state(jax.tree.map(jnp.asarray, trained), OPTIMIZER), shardings_of(abstract))
    frozen = jax.device_put({'model': frozen, 'codec': {}, 'text': {}}, shardings_of(kept))
    out = []
    for number in range(steps):
        state, metrics = step(state, frozen, to_global(batch(number), mesh))
        out.append((np.asarray(metrics['t']), np.asarray(metrics['loss_per_example'])))
    return jax.device_get(state.trained), *map(np.stack, zip(*out, strict=True))


@functools.cache
def alone(trains='full', lora=None):
    return run(make_mesh(devices=jax.devices()[:1]), trains, lora=lora)
