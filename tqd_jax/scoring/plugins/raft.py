"""Motion as RAFT sees it, in frame diagonals a second: a learned scorer, from a weights file that the user names."""
import dataclasses
import hashlib

import jax
import jax.numpy as jnp

from tqd_jax.models.raft.network import raft_clip
from tqd_jax.models.raft.weights import load_raft

REVISION = 1  # of the measure: raise it, and clips are measured anew
RATE = 8.0  # frames a second, as in VBench's dynamic degree
TOP = 0.05  # share of the pixels that move most, there too


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Raft:
    """A scorer (plugins/scorers.py) with columns raft_motion and raft_mean; `params` as models/raft/network.py takes them."""
    params: dict
    version: str
    name: str = 'raft'
    columns: tuple[str, ...] = ('raft_motion', 'raft_mean')
    rate: float = RATE
    frames: int = 17
    size: tuple[int, int] = (288, 512)

    def __call__(self, frames):
        """{column: float32 [B]} of frames uint8 [B, F, H, W, 3]."""
        return dict(zip(self.columns, flow_sizes(self.params, frames), strict=True))


def raft(path):
    """The scorer with the weights of a file, whose contents are part of its version. Raises UserError as load_raft does."""
    params, kind = load_raft(path)
    digest = hashlib.sha256(b''.join(leaf.tobytes() for leaf in jax.tree.leaves(params))).hexdigest()
    return Raft(params=jax.device_put(params), version=f'{REVISION}-{kind}-{digest[:12]}')


@jax.jit
def flow_sizes(params, frames):
    """Flow in diagonals a second, float32 [B] each, of frames uint8 [B, F, H, W, 3] at RATE: of the fastest 5 % of pixels, and of all.

    Of every pair of frames the mean over those pixels, as VBench's dynamic degree has it (Huang et al., 2024, arXiv:2311.17982), and then
    the mean over pairs. Black bars count as no part of the frame, pairs after the last change as no part of the clip: both are how clips
    of other shapes and lengths are filled up. A pair of equal frames is still, whatever the network makes of it.
    """
    with jax.default_matmul_precision('float32'):  # a clip's score must not hang on an accelerator's favourite precision
        return jax.lax.map(lambda clip: _clip_sizes(params, clip), frames)  # one at a time: correlations take much memory


def _clip_sizes(params, frames):
    lit = (frames > 0).any((0, 3))
    inside = (lit.any(1)[:, None] & lit.any(0)[None])[None]
    diagonal = jnp.hypot(*(jnp.maximum(1, lit.any(axis).sum()).astype(jnp.float32) for axis in (0, 1)))
    flow = raft_clip(params, frames.astype(jnp.float32) / 127.5 - 1)
    sizes = jnp.where(inside, jnp.hypot(flow[..., 0], flow[..., 1]) * RATE / diagonal, 0).reshape(len(flow), -1)
    changed = (frames[1:] != frames[:-1]).any((1, 2, 3))
    pairs = jnp.maximum(1, jnp.flatnonzero(changed, size=len(changed), fill_value=-1).max() + 1).astype(jnp.float32)
    return tuple(jnp.where(changed, mean, 0).sum() / pairs for mean in pair_means(sizes, inside.sum()))


def pair_means(sizes, count):
    """Means [P] of the largest TOP of `count` sizes, and of all, where the others of sizes [P, N] are 0."""
    top = jnp.maximum(1, (TOP * count.astype(jnp.float32)).astype(jnp.int32))
    largest, _ = jax.lax.top_k(sizes, max(1, int(TOP * sizes.shape[1])))
    fastest = jnp.where(jnp.arange(largest.shape[1])[None] < top, largest, 0).sum(1) / top.astype(jnp.float32)
    return fastest, sizes.sum(1) / jnp.maximum(1, count).astype(jnp.float32)
