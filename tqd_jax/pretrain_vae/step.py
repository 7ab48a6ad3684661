"""One update of the small autoencoder: loss, gradient, Adam, and the average of weights."""
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.tree_util import keystr
from jaxtyping import Array, Float32, UInt8
from optax import contrib

from tqd_jax.latents.wan_vae.decoder import decode_pixels
from tqd_jax.latents.wan_vae.encoder import encode_posterior
from tqd_jax.latents.wan_vae.params import random_params
from tqd_jax.pretrain_vae.settings import Settings
from transfer_jax.runtime.keys import stream_key

MUON_MOMENTUM = 0.95
LOG_VARIANCE = (-30.0, 20.0)  # limits, as published


class State(NamedTuple):
    """Weights, the optimizer's moments, and the average of weights."""

    params: Any
    moments: Any
    average: Any


def initial_state(settings: Settings) -> State:
    """Random weights, and their average: a copy of them. Residual blocks begin as their shortcut, posteriors with little noise."""
    params = random_params(stream_key(settings.seed, 'init'), settings.vae)
    ends_block = lambda path: keystr(path, simple=True, separator='/').endswith('conv2/kernel')
    params = jax.tree.map_with_path(lambda path, leaf: jnp.zeros_like(leaf) if ends_block(path) else leaf, params)
    quant, z_dim = params['encoder']['quant'], settings.vae.z_dim
    params['encoder']['quant'] = {'kernel': quant['kernel'].at[:, z_dim:].multiply(0.1), 'bias': quant['bias'].at[z_dim:].set(-4.0)}
    return State(params, _optimizer(settings).init(params), jax.tree.map(jnp.copy, params))


def loss(params, video: UInt8[Array, 'batch frames height width 3'], key, settings: Settings) -> tuple[Float32[Array, ''], dict]:
    """(mse + kl weight x KL, {'mse', 'kl'}): pixels in [-1, 1] decoded from a draw of the posterior; KL in nats a latent."""
    mean, log_variance = encode_posterior(params['encoder'], video, settings.vae, None)
    log_variance = jnp.clip(log_variance, *LOG_VARIANCE)
    latents = mean + jnp.exp(log_variance / 2) * jax.random.normal(key, mean.shape)
    pixels = decode_pixels(params['decoder'], latents, settings.vae, None)
    mse = jnp.mean(jnp.square(pixels - (video.astype(jnp.float32) / 127.5 - 1)))
    kl = jnp.mean(jnp.square(mean) + jnp.exp(log_variance) - 1 - log_variance) / 2
    return mse + settings.kl * kl, {'mse': mse, 'kl': kl}


@functools.partial(jax.jit, static_argnames=('settings', 'decoder_only'), donate_argnums=0)
def update(state: State, video, step, rate, settings: Settings, decoder_only: bool = False) -> tuple[State, dict]:
    """(the state after update number `step`, {'loss', 'mse', 'kl', 'gradient'}: its norm) at the learning rate `rate`.

    decoder_only: as of a Phase.
    """
    key = stream_key(settings.seed, 'posterior', step)
    kept = {'encoder': state.average['encoder']} if decoder_only else {}
    value_of = lambda params: loss(jax.lax.stop_gradient(kept) | params, video, key, settings)
    trained = {part: state.params[part] for part in state.params if part not in kept}
    (value, parts), gradient = jax.value_and_grad(value_of, has_aux=True)(trained)
    gradient = jax.tree.map(jnp.zeros_like, kept) | gradient
    with jax.numpy_dtype_promotion('standard'):  # optax counts in int32 and decays in float32
        change, moments = _optimizer(settings).update(gradient, state.moments, state.params)
    params = jax.tree.map(lambda leaf, by: leaf + rate * by, state.params, change)
    decay = jnp.minimum(settings.ema, (1 + step) / (10 + step))
    average = jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, state.average, params) | kept
    return State(params | kept, moments, average), {'loss': value, **parts, 'gradient': optax.tree.norm(gradient)}


def rate_at(step: int, settings: Settings) -> float:
    """The learning rate of update `step`."""
    phase, first = settings.at(step)
    cosine = optax.cosine_decay_schedule(phase.first_rate, phase.steps, phase.last_rate / phase.first_rate)
    return float(cosine(step - first)) * min(1.0, (step + 1) / settings.warmup)


def _optimizer(settings):
    """Muon for kernels, a convolution's as one matrix [taps x in, out], Adam for the rest; at a rate of 1."""
    muon = contrib.muon(1.0, beta=MUON_MOMENTUM, adam_b2=0.99, consistent_rms=0.2, muon_weight_dimension_numbers=_matrices)
    return optax.chain(optax.clip_by_global_norm(settings.clip_norm), muon)


def _matrices(params):
    """For optax's Muon: the axes of a kernel that are the matrix's rows and its columns; None for what is no kernel."""
    matrix = lambda leaf: contrib.MuonDimensionNumbers(reduction_axis=tuple(range(leaf.ndim - 1)), output_axis=leaf.ndim - 1)
    return jax.tree.map_with_path(lambda path, leaf: matrix(leaf) if path[-1].key == 'kernel' else None, params)
