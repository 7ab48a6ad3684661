"""Rotary position embedding over a grid of (frame, row, column) tokens, split among the three axes as Wan does."""
import jax.numpy as jnp
import numpy as np

THETA = 10000.0


def axis_dims(head_dim):
    """Widths (frames, rows, columns) of a head's rotated parts: rows and columns get 2 * (head_dim // 6) each, frames the rest."""
    side = 2 * (head_dim // 6)
    return head_dim - 2 * side, side, side


def rotary_angles(grid, head_dim):
    """Angles float32 [tokens, head_dim / 2] of the tokens of a grid (frames, rows, columns), frames slowest.

    Pair j of an axis of width d turns by position * THETA^(-2j / d) (Su et al. 2021, RoFormer).
    """
    parts = []
    for axis, (size, dim) in enumerate(zip(grid, axis_dims(head_dim), strict=True)):
        frequencies = THETA ** (-np.arange(0, dim, 2) / dim)
        angles = np.outer(np.arange(size), frequencies).astype(np.float32)
        shape = [1, 1, 1, dim // 2]
        shape[axis] = size
        parts.append(jnp.broadcast_to(angles.reshape(shape), (*grid, dim // 2)))
    return jnp.concatenate(parts, axis=-1).reshape(-1, head_dim // 2)


def rotate(x, cos, sin):
    """Turns the pairs (x[..., j], x[..., j + head_dim / 2]) by the angles of cos and sin, in float32.

    x: [B, S, N, head_dim]. cos, sin: [1, S, 1, head_dim / 2].
    """
    a, b = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1).astype(x.dtype)


def half_from_interleaved(head_dim):
    """Order that takes channels paired as (2j, 2j + 1), the usual layout of Wan's weights, to pairs (j, j + head_dim / 2), ours.

    Scores are sums over channels, so one order for queries and keys alike changes nothing, and contiguous halves are quicker to turn.
    """
    return np.concatenate([np.arange(0, head_dim, 2), np.arange(1, head_dim, 2)])
