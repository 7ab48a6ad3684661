"""Frames to the mean of the posterior, the whole clip at once or chunk by chunk with the same result."""
import jax.numpy as jnp

from tqd_jax.latents.wan_vae.blocks import head, middle, residual_blocks, wide_dtype
from tqd_jax.latents.wan_vae.chunks import by_frame, in_chunks
from tqd_jax.latents.wan_vae.convolve import causal_conv, linear
from tqd_jax.latents.wan_vae.resample import average_down, downsample


def encode_mean(params, video, config, chunk):
    """The posterior's mean [B, f, h, w, z_dim] of uint8 frames [B, F, H, W, 3], F = stride k + 1, in the parameters' dtype.

    params: the tree's 'encoder'. chunk: latent frames at a time after the first; None: all at once.
    """
    dtype = params['conv_in']['kernel'].dtype
    # the quantiser's other half is the logarithm of the variance
    quant = {name: array[..., :config.z_dim] for name, array in params['quant'].items()}
    return _encode({**params, 'quant': quant}, video, config, chunk, wide_dtype(dtype))


def encode_posterior(params, video, config, chunk):
    """(mean, logarithm of the variance) of the posterior, each as encode_mean's."""
    both = _encode(params, video, config, chunk, wide_dtype(params['conv_in']['kernel'].dtype))
    return both[..., :config.z_dim], both[..., config.z_dim:]


def _encode(params, video, config, chunk, wide):
    dtype = params['conv_in']['kernel'].dtype

    def step(frames, state):
        pixels = frames.astype(wide) / 127.5 - 1  # as of PixelCodec
        y, state = _features(params, fold(pixels.astype(dtype), config.patch), state, config)
        return linear(params['quant'], y), state

    return in_chunks(step, video, config.frame_stride, chunk)


def fold(x, patch):
    """[B, F, H, W, C] -> [B, F, H / p, W / p, C p p]: channels by colour, then column, then row within the patch."""
    batch, frames, height, width, channels = x.shape
    x = x.reshape(batch, frames, height // patch, patch, width // patch, patch, channels)
    return x.transpose(0, 1, 2, 4, 6, 5, 3).reshape(batch, frames, height // patch, width // patch, -1)


def _features(params, x, state, config):
    state, after = state or {}, {}
    early = list(config.temporal).index(True) if any(config.temporal) else len(config.temporal)  # stages that retain every frame
    stages = [(str(i), params['stages'][str(i)]) for i in range(len(config.multipliers))]

    def at_full_rate(frame, state):
        state, after = state or {}, {}
        frame, after['conv_in'] = causal_conv(params['conv_in'], frame, state.get('conv_in'))
        for name, stage in stages[:early]:
            frame, after[name] = _stage(stage, frame, state.get(name, {}), config.residual)
        return frame, after

    x, after['early'] = by_frame(at_full_rate, x, state.get('early'))
    for name, stage in stages[early:]:
        x, after[name] = _stage(stage, x, state.get(name, {}), config.residual)
    x, after['middle'] = middle(params['middle'], x, state.get('middle'))
    x, after['head'] = head(params['head'], x, state.get('head'))
    return x, after


def _stage(params, x, state, residual):
    """Residual blocks, then halving; `residual`: plus the stage's input, averaged down to the same shape."""
    start, after = x, {}
    x, after['blocks'] = residual_blocks(params['blocks'], x, state.get('blocks'))
    if 'down' in params:
        x, after['down'] = downsample(params['down'], x, state.get('down'))
    if residual:
        down = params.get('down')
        x = x + average_down(start, x.shape[-1], 2 if down and 'time' in down else 1, 2 if down else 1).astype(x.dtype)
    return x, after


def normalised(mean, config):
    """(mu - mean) / std in float32: the space that the transformer works in."""
    shift, scale = (jnp.asarray(values, jnp.float32)[None, None, None, None] for values in (config.mean, config.std))
    return (mean.astype(jnp.float32) - shift) / scale
