"""Convolutions over clips [B, F, H, W, C], causal in time with the last frames as explicit state; on a CPU, 2D ones.

XLA's CPU backend takes twice as long for a 3D convolution as for a 2D one at each tap in time, and frame by frame it needs no
buffers for all frames. Narrow layers have small buffers: of a whole clip their three taps in time become channels of one 2D convolution
of all frames, which trains many times as fast; its last bits depend on the threads that compute it. The target's platform decides, when
the program is lowered; others get the plain 3D convolution.
"""
import functools

import jax.numpy as jnp
from jax import lax

STATE = 2  # frames: one fewer than the taps in time
NARROW = 64  # channels in at most; the published autoencoders have 96 and more


def causal_conv(params, x, state=None):
    """(y, state): 3 x 3 x 3 convolution of x [B, F, H, W, C] with bias, which sees the present frame and the two before.

    state: the two frames [B, 2, H, W, C] before x; None at the start of a clip, where they are zero. The returned state is the
    last two frames.
    """
    kernel, bias = params['kernel'], params['bias']
    if state is None and x.shape[1] == 1:
        # of the three taps only the last meets a frame that is not zero
        return conv_frames(kernel[-1], x) + row(bias, x), last_frames(x, jnp.zeros_like(x))
    on_cpu = _taps_as_channels if state is None and _narrow(kernel) else _frame_by_frame
    state = jnp.zeros_like(x, shape=(x.shape[0], STATE, *x.shape[2:])) if state is None else state
    y = lax.platform_dependent(kernel, bias, x, state, cpu=on_cpu, default=_whole)
    return y, last_frames(x, state)


def last_frames(x, state):
    """The last two frames of state, then x."""
    return x[:, -STATE:] if x.shape[1] >= STATE else jnp.concatenate([state[:, -1:], x], axis=1)


def conv_frames(kernel, x, *, stride=1, padding=((1, 1), (1, 1)), before=lambda frames: frames, whole=False):
    """2D convolution of every frame with kernel [h, w, C, O]; `before` changes frames [N, H, W, C] first. whole: x is a whole clip."""
    conv = lambda kernel, frames: _conv(before(frames), kernel, (stride, stride), padding, 'NHWC')
    forms = {'cpu': functools.partial(_folded if whole and _narrow(kernel) else _mapped, conv), 'default': functools.partial(_folded, conv)}
    return lax.platform_dependent(kernel, x, **forms)


def linear(params, x):
    """x [..., C] times kernel [C, O] plus bias: a convolution of one tap."""
    kernel, bias = params['kernel'], params['bias']
    y = jnp.matmul(x.reshape(-1, x.shape[-1]), kernel, precision=precision(x)) + bias[None]
    return y.reshape(*x.shape[:-1], -1)


def time_conv(params, x, *, stride=1):
    """Convolution over frames alone, kernel [3, 1, 1, C, O]: y[t] = sum_i x[stride t + i] K[i] + bias, nothing padded."""
    kernel, count = params['kernel'][:, 0, 0], (x.shape[1] - 3) // stride + 1
    taps = [x[:, i:i + stride * (count - 1) + 1:stride] for i in range(3)]
    y = sum(jnp.matmul(tap.reshape(-1, tap.shape[-1]), k, precision=precision(x)) for tap, k in zip(taps, kernel, strict=True))
    return (y + params['bias'][None]).reshape(*taps[0].shape[:-1], -1)


def precision(x):
    """float32 is float32 on a TPU and on a GPU too, where a product takes narrower numbers by default."""
    return lax.Precision.DEFAULT if x.dtype == jnp.bfloat16 else lax.Precision.HIGHEST


def row(vector, x):
    """A vector of channels, for sums with x."""
    return vector.reshape((1,) * (x.ndim - 1) + (-1,))


def _narrow(kernel):
    return kernel.shape[-2] <= NARROW


def _taps_as_channels(kernel, bias, x, state):
    frames = jnp.concatenate([state, x], axis=1)
    taps = jnp.concatenate([frames[:, i:i + x.shape[1]] for i in range(STATE + 1)], axis=-1)
    conv = lambda kernel, frames: _conv(frames, kernel, (1, 1), ((1, 1), (1, 1)), 'NHWC')
    return _folded(conv, jnp.concatenate([*kernel], axis=-2), taps) + row(bias, x)


def _whole(kernel, bias, x, state):
    return _conv(jnp.concatenate([state, x], axis=1), kernel, (1, 1, 1), ((0, 0), (1, 1), (1, 1)), 'NDHWC') + row(bias, x)


def _frame_by_frame(kernel, bias, x, state):
    def add_tap(y, tap):
        return y + _conv(*tap, (1, 1), ((1, 1), (1, 1)), 'NHWC'), None

    def step(before, frame):
        # a loop over the taps: XLA would compute those of the state for all convolutions of the network at once, and hold them
        frames = jnp.concatenate([before, frame[None]])
        start = jnp.broadcast_to(row(bias, frame), (*frame.shape[:-1], kernel.shape[-1]))
        return frames[1:], lax.scan(add_tap, start, (frames, kernel))[0]

    _, y = lax.scan(step, state.swapaxes(0, 1), x.swapaxes(0, 1))
    return y.swapaxes(0, 1)


def _mapped(conv, kernel, x):
    return lax.map(lambda frame: conv(kernel, frame), x.swapaxes(0, 1)).swapaxes(0, 1)


def _folded(conv, kernel, x):
    y = conv(kernel, x.reshape(-1, *x.shape[2:]))
    return y.reshape(*x.shape[:2], *y.shape[1:])


def _conv(x, kernel, strides, padding, layout):
    """layout: x's, 'NHWC' or 'NDHWC'; the kernel has the same order of its axes, then C and O."""
    numbers = lax.conv_dimension_numbers(x.shape, kernel.shape, (layout, f'{layout[1:-1]}IO', layout))
    return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=numbers, precision=precision(x))
