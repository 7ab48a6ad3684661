"""LoRA (Hu et al., 2022, arXiv:2106.09685) as a transformation of models and of their parameters."""
import dataclasses
import zlib
from typing import Any

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict

from transfer_jax.experiment.models.layers import normals
from transfer_jax.experiment.models.model import Model


def low_rank(model: Model, *, rank: int, alpha: float) -> Model:
    """The Model that trains all that `model` trains, and a change (alpha / rank) a b of low rank to each of its frozen matrices W.

    Matrices are the kernels of dense layers (those of stacked blocks each on its own) and of 1 x 1 convolutions. trained['lora'] holds
    a [..., inputs, rank], normal with variance 1 / inputs, and b [..., rank, outputs], zero, at the path of W: at the start the outputs are
    the base's, exactly. frozen: as the model's own.
    """
    scale = alpha / rank

    def init(key):
        trained, frozen = model.init(key)
        return {**trained, 'lora': draw(frozen, rank, jax.random.fold_in(key, zlib.crc32(b'lora')))}, frozen

    def split(trained, frozen):
        return {name: tree for name, tree in trained.items() if name != 'lora'}, merge(frozen, trained['lora'], scale)

    return dataclasses.replace(
        model, init=init,
        apply=lambda trained, frozen, inputs: model.apply(*split(trained, frozen), inputs),
        features=lambda trained, frozen, inputs: model.features(*split(trained, frozen), inputs))


def draw(frozen: Any, rank: int, key: jax.Array) -> Any:
    """a and b of every matrix in a tree of parameters, at the start."""
    matrices = {path: leaf.shape for path, leaf in flatten_dict(frozen).items() if is_matrix(path, leaf)}
    noise = normals(key, {path: (*shape[:-1], rank) for path, shape in matrices.items()})
    lora = {(*path, 'a'): a * a.shape[-2] ** -0.5 for path, a in noise.items()}
    return unflatten_dict(lora | {(*path, 'b'): jnp.zeros((*shape[:-2], rank, shape[-1]), jnp.float32) for path, shape in matrices.items()})


def merge(frozen: Any, lora: Any, scale: float) -> Any:
    """The parameters with W + scale a b in place of every W that has an a and a b: they serve without LoRA."""
    leaves, change = flatten_dict(frozen), flatten_dict(lora)
    return unflatten_dict({path: w + scale * (change[*path, 'a'] @ change[*path, 'b']) if (*path, 'a') in change else w
                           for path, w in leaves.items()})


def is_matrix(path: tuple[str, ...], leaf: jax.Array) -> bool:
    """Whether a parameter is the kernel of a dense layer or of a 1 x 1 convolution."""
    return path[-1] == 'kernel' and (leaf.ndim in (2, 3) or leaf.shape[:-2] == (1, 1))
