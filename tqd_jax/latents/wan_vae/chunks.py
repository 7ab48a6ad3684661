"""A clip in chunks: the first frame by itself, then a scan over equal chunks with the last frames as its state."""
import functools

import jax.numpy as jnp
from jax import lax


def in_chunks(step, x, unit, chunk):
    """All of y of step(frames, state) -> (y, state) over x [B, 1 + unit k, ...], joined along the frames.

    The first call has one frame and no state, later ones unit * chunk frames and what the call before returned; the last may
    have fewer. chunk None: one call with everything. A causal step gives the same y either way.
    """
    if chunk is None:
        return step(x, None)[0]
    y, state = step(x[:, :1], None)
    parts, size = [y], unit * chunk
    count, rest = divmod(x.shape[1] - 1, size)
    if count:
        frames = lambda i: lax.dynamic_slice_in_dim(x, 1 + i * size, size, axis=1)
        state, rows = lax.scan(lambda state, i: step(frames(i), state)[::-1], state, jnp.arange(count))
        parts.append(jnp.moveaxis(rows, 0, 1).reshape(x.shape[0], -1, *rows.shape[3:]))
    if rest:
        parts.append(step(x[:, -rest:], state)[0])
    return jnp.concatenate(parts, axis=1)


def by_frame(step, x, state):
    """step(x, state) -> (y, state) of a step that makes one frame of each; on a CPU, frame by frame in a chunk after the first.

    A CPU works on one frame as fast as on several and holds less; an accelerator may have as much at once as the chunk allows.
    """
    if state is None or x.shape[1] == 1:
        return step(x, state)
    return lax.platform_dependent(x, state, cpu=functools.partial(_scanned, step), default=step)


def _scanned(step, x, state):
    state, y = lax.scan(lambda state, frame: step(frame[:, None], state)[::-1], state, jnp.moveaxis(x, 1, 0))
    return jnp.moveaxis(y[:, :, 0], 0, 1), state
