"""encode_layers: captions through an encoder that the devices cannot hold, one block at a time from its file."""
import concurrent.futures
import functools
from collections.abc import Callable, Mapping

import jax
import numpy as np
from jaxtyping import Int32, Shaped

from tqd_jax.text.umt5.config import PAD, Umt5Config, wide_dtype
from tqd_jax.text.umt5.model import apply_block, finish
from tqd_jax.text.umt5.weights import block_from, check, embedding_rows, norm_from

_block = jax.jit(apply_block, static_argnames=('config', 'dtype'))
_finish = jax.jit(finish, static_argnames=('config', 'dtype'))


def crop(tokens: Int32[np.ndarray, 'n length'], multiple: int = 64) -> Int32[np.ndarray, 'n shorter']:
    """The first columns of tokens [N, S], of which the number is the least multiple of `multiple` (or S) that cuts off padding alone."""
    longest = int(np.max(np.sum(tokens != PAD, axis=1), initial=1))
    return tokens[:, :-(-longest // multiple) * multiple]


def encode_layers(tensors: Mapping, config: Umt5Config, tokens: Int32[np.ndarray, 'n length'], *, dtype, batch: int = 8,
                  offload: bool = True, place: Callable = jax.device_put) -> Shaped[np.ndarray, 'n length width']:
    """Features [N, S, width] in `dtype` of tokens [N, S], as model.encode computes them from params_from(tensors, config, dtype).

    Every block is read from the file once, while its predecessor computes, and all captions go through it before the next; so the
    devices hold two blocks (0.4 GB each in bfloat16 at the published sizes) and the activations of `batch` captions, which are of like
    length and cut to it. offload: the activations of the others wait on the host, 4 S width bytes a caption; False: on the devices.
    place: puts a tree of arrays, a block's parameters, on the devices.

    Raises UserError as params_from does.
    """
    layout = check(tensors, config)
    rows = _groups(tokens, batch)
    groups = [crop(np.where(row[:, None] < 0, PAD, tokens[row])) for row in rows]
    states = [embedding_rows(tensors, layout, group, wide_dtype(dtype)) for group in groups]
    stash = np.asarray if offload else lambda x: x
    read = functools.partial(block_from, tensors, layout, config=config, dtype=dtype)
    for block in map(place, _ahead(read, config.layers)):
        states = [stash(_block(block, x, group != PAD, config=config, dtype=dtype)) for x, group in zip(states, groups, strict=True)]
    norm, out = place(norm_from(tensors, layout, dtype)), np.zeros((*tokens.shape, config.width), dtype)
    for row, group, x in zip(rows, groups, states, strict=True):
        features = np.asarray(_finish(norm, x, group != PAD, config=config, dtype=dtype))
        out[row[row >= 0], :group.shape[1]] = features[row >= 0]
    return out


def _groups(tokens, batch):
    """Numbers of captions [batch], captions of like length together; -1 fills the last, so that no shape is compiled for it alone."""
    order = np.argsort(np.sum(tokens != PAD, axis=1), kind='stable')
    size = max(1, min(batch, len(order)))
    return list(np.pad(order, (0, -len(order) % size), constant_values=-1).reshape(-1, size))


def _ahead(read, number):
    """read(0), ..., read(number - 1), each read by a thread while the one before is used."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        following = pool.submit(read, 0)
        for after in range(1, number):
            block, following = following.result(), pool.submit(read, after)
            yield block
        yield following.result()
