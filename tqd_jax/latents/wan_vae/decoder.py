"""Latents to frames, the whole clip at once or chunk by chunk with the same result."""
import jax.numpy as jnp

from tqd_jax.latents.wan_vae.blocks import head, middle, residual_blocks
from tqd_jax.latents.wan_vae.chunks import by_frame, in_chunks
from tqd_jax.latents.wan_vae.convolve import causal_conv, linear
from tqd_jax.latents.wan_vae.resample import repeat_up, upsample


def decode_pixels(params, latents, config, chunk, finish=lambda pixels: pixels):
    """finish of pixels [B, stride (f - 1) + 1, H, W, 3] in the parameters' dtype, about -1 to 1, of latents [B, f, h, w, z_dim].

    params: the tree's 'decoder'. latents: as the encoder's mean. chunk: latent frames at a time after the first; None: all at
    once. finish: applied chunk by chunk, such as rounding to bytes, so that no clip of floats is held.
    """
    latents = latents.astype(params['conv_in']['kernel'].dtype)

    def step(frames, state):
        y, state = _pixels(params, linear(params['quant'], frames), state, config)
        return finish(unfold(y, config.patch)), state

    return in_chunks(step, latents, 1, chunk)


def unfold(x, patch):
    """[B, F, H, W, C p p] -> [B, F, H p, W p, C]: the inverse of fold."""
    batch, frames, height, width, channels = x.shape
    x = x.reshape(batch, frames, height, width, channels // patch**2, patch, patch)
    return x.transpose(0, 1, 2, 6, 3, 5, 4).reshape(batch, frames, height * patch, width * patch, -1)


def _pixels(params, x, state, config):
    first, state, after = state is None, state or {}, {}
    x, after['conv_in'] = causal_conv(params['conv_in'], x, state.get('conv_in'))
    x, after['middle'] = middle(params['middle'], x, state.get('middle'))
    late = len(config.temporal) - config.temporal.index(True) if any(config.temporal) else 0  # the first stage of every frame
    stages = [(str(i), params['stages'][str(i)]) for i in range(len(config.multipliers))]
    for name, stage in stages[:late]:
        x, after[name] = _stage(stage, x, state.get(name, {}), config.residual, first)

    def at_full_rate(frame, state):
        state, after = state or {}, {}
        for name, stage in stages[late:]:
            frame, after[name] = _stage(stage, frame, state.get(name, {}), config.residual, first)
        frame, after['head'] = head(params['head'], frame, state.get('head'))
        return frame, after

    x, after['late'] = by_frame(at_full_rate, x, state.get('late'))
    return x, after


def _stage(params, x, state, residual, first):
    """Residual blocks, then doubling; `residual`: plus the stage's input, repeated to the same shape."""
    start, after = x, {}
    x, after['blocks'] = residual_blocks(params['blocks'], x, state.get('blocks'))
    if 'up' not in params:
        return x, after
    x, after['up'] = upsample(params['up'], x, state.get('up'))
    if residual:
        x = x + repeat_up(start, x.shape[-1], 2 if 'time' in params['up'] else 1, 2, first)
    return x, after


def denormalised(latents, config):
    """latents std + mean in float32: the inverse of normalised."""
    shift, scale = (jnp.asarray(values, jnp.float32)[None, None, None, None] for values in (config.mean, config.std))
    return latents.astype(jnp.float32) * scale + shift
