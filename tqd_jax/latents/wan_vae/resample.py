"""Halving and doubling of frames, rows and columns; the first frame of a clip is never halved nor doubled in time.

State None is the start of a clip, as in blocks.py. Shortcuts of Wan 2.2 average and repeat values, without parameters.
"""
import jax.numpy as jnp

from tqd_jax.latents.wan_vae.convolve import STATE, conv_frames, last_frames, row, time_conv


def downsample(params, x, state):
    """(y, state): rows and columns halved by a convolution; then, where params have 'time', frames after the first by another.

    In time y is x[:1], then a convolution of three frames with stride 2 from x[0] on; the state is the last frame.
    """
    spatial, whole = params['spatial'], state is None and 'time' in params
    x = conv_frames(spatial['kernel'], x, stride=2, padding=((0, 1), (0, 1)), whole=whole) + row(spatial['bias'], x)
    if 'time' not in params:
        return x, None
    seen = x if state is None else jnp.concatenate([state, x], axis=1)
    parts = ([x[:, :1]] if state is None else []) + ([time_conv(params['time'], seen, stride=2)] if seen.shape[1] >= 3 else [])
    return jnp.concatenate(parts, axis=1), x[:, -1:]


def upsample(params, x, state):
    """(y, state): where params have 'time', frames after the first doubled by a convolution; then rows and columns by another."""
    whole = state is None and 'time' in params
    if 'time' in params:
        x, state = _double_frames(params['time'], x, state)
    spatial = params['spatial']
    return conv_frames(spatial['kernel'], x, before=_repeat_places, whole=whole) + row(spatial['bias'], x), state


def _double_frames(params, x, state):
    """The first frame of a clip passes unchanged, and the convolution of those after it has zeros in its place."""
    first, x = (x[:, :1], x[:, 1:]) if state is None else (x[:, :0], x)
    state = jnp.zeros_like(x, shape=(x.shape[0], STATE, *x.shape[2:])) if state is None else state
    if x.shape[1] == 0:
        return first, state
    pairs = time_conv(params, jnp.concatenate([state, x], axis=1)).reshape(*x.shape[:-1], 2, -1)  # the earlier frame, the later
    doubled = jnp.moveaxis(pairs, -2, 2).reshape(x.shape[0], -1, *x.shape[2:])
    return jnp.concatenate([first, doubled], axis=1), last_frames(x, state)


def _repeat_places(frames):
    """[N, H, W, C] -> [N, 2 H, 2 W, C], the nearest value."""
    count, height, width, channels = frames.shape
    wide = jnp.broadcast_to(frames[:, :, None, :, None], (count, height, 2, width, 2, channels))
    return wide.reshape(count, 2 * height, 2 * width, channels)


def average_down(x, channels, time, space):
    """Means of groups of values: [B, F, H, W, C] -> [B, ceil(F / time), H / space, W / space, channels].

    The values of a block of time x space x space, channel by channel, are cut into `channels` groups; zero frames before the
    first fill the first block.
    """
    x = jnp.pad(x, ((0, 0), (-x.shape[1] % time, 0), (0, 0), (0, 0), (0, 0)))
    batch, frames, height, width, _ = x.shape
    x = x.reshape(batch, frames // time, time, height // space, space, width // space, space, -1)
    x = x.transpose(0, 1, 3, 5, 7, 2, 4, 6)
    return jnp.mean(x.reshape(*x.shape[:4], channels, -1), axis=-1)


def repeat_up(x, channels, time, space, first):
    """Values repeated over blocks: [B, F, H, W, C] -> [B, F time, H space, W space, channels], ordered as average_down's groups.

    first: x starts a clip, and its first frame is not repeated in time.
    """
    batch, frames, height, width, inputs = x.shape
    x = jnp.repeat(x, channels * time * space**2 // inputs, axis=-1)
    x = x.reshape(batch, frames, height, width, channels, time, space, space).transpose(0, 1, 5, 2, 6, 3, 7, 4)
    x = x.reshape(batch, frames * time, height * space, width * space, channels)
    return x[:, time - 1:] if first else x
