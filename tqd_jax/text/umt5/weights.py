"""Published weights of a UMT5 encoder as our parameters: sizes from shapes, checks, and arrays read one block at a time."""
import operator
from collections.abc import Mapping

import jax
import numpy as np
from jaxtyping import Int, Shaped

from tqd_jax.text.umt5.config import Umt5Config, abstract_block, abstract_params, wide_dtype
from tqd_jax.text.umt5.names import Layout, check_names, find_layout, place
from transfer_jax.runtime.errors import UserError

_ROWS = 16  # of a kernel transposed at once, so that what is read and what is written stay in the processor's cache: 5 times as fast


def config_from(tensors: Mapping) -> Umt5Config:
    """The sizes of the encoder in a file, from names and shapes. Raises UserError where it is no UMT5 encoder, or an array is missing."""
    layout = find_layout(tensors)
    layers = layout.layers(tensors)
    check_names(tensors, layout, layers)
    names = [layout.leaf(0, path) for path in ('attention/bias', 'attention/q/kernel', 'gate/kernel')]
    (buckets, heads), (inner, width), (ffn, _) = (_matrix(tensors, name) for name in names)
    vocab, _ = _matrix(tensors, layout.embedding(tensors)[0])
    return Umt5Config(vocab=vocab, width=width, heads=heads, head_dim=inner // heads, ffn=ffn, layers=layers, buckets=buckets)


def params_from(tensors: Mapping, config: Umt5Config, dtype) -> dict:
    """The tree of abstract_params(config, dtype), as NumPy arrays, from arrays by their published names.

    tensors: {name: array, or anything that numpy.asarray and indices read}. Raises UserError, naming file and array, where one is
    missing, left over or of another shape, or where the embedding is all zero.
    """
    layout = check(tensors, config)
    blocks = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), abstract_params(config, dtype)['blocks'])
    for number in range(config.layers):
        block = block_from(tensors, layout, number, config, dtype)
        jax.tree.map(np.copyto, jax.tree.map(operator.itemgetter(number), blocks), block)
    return {'embedding': embedding_rows(tensors, layout, ..., dtype), 'blocks': blocks, 'norm': norm_from(tensors, layout, dtype)}


def check(tensors: Mapping, config: Umt5Config) -> Layout:
    """The layout of a file that has a whole encoder of the config's sizes. Raises UserError where it has not; see params_from."""
    layout = find_layout(tensors)
    check_names(tensors, layout, config.layers)
    for path, leaf in _named(abstract_block(config, np.float32)).items():
        shape = leaf.shape[::-1] if path.endswith('kernel') else leaf.shape
        for number in range(config.layers):
            _check_shape(tensors, layout.leaf(number, path), shape)
    _check_shape(tensors, layout.final_norm(), (config.width,))
    for name in layout.embedding(tensors):
        _check_shape(tensors, name, (config.vocab, config.width))
    _check_embedding(tensors, layout.embedding(tensors))
    return layout


def block_from(tensors: Mapping, layout: Layout, number: int, config: Umt5Config, dtype) -> dict:
    """The parameters of one block, as abstract_block(config, dtype) has them."""
    abstract = abstract_block(config, dtype)
    paths = _named(abstract)
    read = lambda path: np.asarray(tensors[layout.leaf(number, path)])
    leaves = [_transposed(read(path), leaf.dtype) if path.endswith('kernel') else read(path).astype(leaf.dtype)
              for path, leaf in paths.items()]
    return jax.tree.unflatten(jax.tree.structure(abstract), leaves)


def embedding_rows(tensors: Mapping, layout: Layout, index: Int[np.ndarray, '...'], dtype) -> Shaped[np.ndarray, '... width']:
    """Rows of the embedding: the vectors of the tokens `index`, or all of them for `...`."""
    return np.asarray(tensors[layout.embedding(tensors)[0]][index]).astype(dtype, copy=False)


def norm_from(tensors: Mapping, layout: Layout, dtype) -> dict:
    """The parameters of the final norm."""
    return {'scale': np.asarray(tensors[layout.final_norm()]).astype(wide_dtype(dtype))}


def _named(tree):
    return {jax.tree_util.keystr(path, simple=True, separator='/'): leaf for path, leaf in jax.tree.leaves_with_path(tree)}


def _transposed(array, dtype):
    out = np.empty(array.shape[::-1], dtype)
    for start in range(0, len(array), _ROWS):
        out[:, start:start + _ROWS] = array[start:start + _ROWS].T
    return out


def _matrix(tensors, name):
    shape = tuple(tensors[name].shape)
    if len(shape) != 2 or not all(shape):
        raise UserError(f'{place(tensors)}: {name!r} has the shape {list(shape)} but is a matrix in UMT5; get the file again')
    return shape


def _check_shape(tensors, name, shape):
    if tuple(tensors[name].shape) != shape:
        raise UserError(f'{place(tensors)}: {name!r} has the shape {list(tensors[name].shape)}, an encoder of the sizes of its first '
                        f'block has {list(shape)}; get the file again')


def _check_embedding(tensors, names):
    """A table of zeros, which some versions of transformers wrote, would make all captions alike without any other sign."""
    chunks = lambda name: (np.asarray(tensors[name][i:i + 4096]) for i in range(0, tensors[name].shape[0], 4096))
    for name in names:
        if not any(np.any(chunk.astype(np.float32)) for chunk in chunks(name)):
            raise UserError(f'{place(tensors)}: the embedding {name!r} is all zero, so every caption would mean the same; '
                            'get the published file, or save it again with a newer transformers')
    if len(names) > 1 and not all(np.array_equal(one, other) for one, other in zip(*map(chunks, names), strict=True)):
        raise UserError(f'{place(tensors)}: {names[0]!r} and {names[1]!r} are the same table in UMT5 but differ here; get the file again')
