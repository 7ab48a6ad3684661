"""GiB a device that a training step needs, without compiling it: what its arguments are, and about what its backward pass keeps."""
import math

import jax
import numpy as np

from tqd_jax.models.wan.config import WanConfig
from tqd_jax.planning.candidates import Candidate

GIB = 2**30
HALF, FLOAT = 2, 4
BLOCK = 50  # arrays of a token's width, bfloat16, that live at once in the backward pass of one block: wan_1_3b, compiled, has them


def estimate(abstract_state, abstract_frozen, model: WanConfig, latent: tuple[int, ...], candidate: Candidate) -> float:
    """About what the step needs: arguments, float32 gradients, what remat keeps for the backward pass, one block's work."""
    trained = bytes_of(abstract_state.trained)
    local = math.prod(model.grid(*latent[:3])) * candidate.rows / candidate.context
    width = 2 if model.dtype == 'bfloat16' else 4
    block = (BLOCK * model.dim + 4 * model.ffn_dim) * local * width
    gathered = width * (parameters(abstract_state.trained) + parameters(abstract_frozen)) / model.layers
    return (bytes_of(abstract_state) + bytes_of(abstract_frozen) + trained * (2 if candidate.accumulate > 1 else 1)
            + model.layers * local * width * kept(model, candidate.remat) + block + 2 * gathered) / GIB


def kept(model: WanConfig, remat: str) -> float:
    """Numbers that a block keeps for every token."""
    dim, hidden = model.dim, model.ffn_dim
    return {'offload': 0, 'full': dim, 'attention': 3 * dim, 'dots': 8 * dim + hidden, 'none': 24 * dim + 3 * hidden}[remat]


def bytes_of(tree) -> int:
    """Bytes that one device holds of a tree of jax.ShapeDtypeStruct with shardings."""
    return sum(math.prod(leaf.sharding.shard_shape(leaf.shape)) * np.dtype(leaf.dtype).itemsize for leaf in jax.tree.leaves(tree))


def parameters(tree) -> int:
    """Numbers in a tree."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))
