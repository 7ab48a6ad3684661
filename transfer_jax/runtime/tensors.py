"""Named tensors: a tree's leaves by name, and files of them (.npz, .safetensors)."""
import pathlib
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import safetensors
import safetensors.numpy

from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.files import replace_atomically
from transfer_jax.runtime.paths import AnyPath, local_copy, path_of

DAMAGED = (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)  # of a file that is no whole .npz


def named_leaves(tree: Any) -> dict[str, Any]:
    """{'params/blocks/0/w': leaf, ...}, in the tree's order."""
    return {jax.tree_util.keystr(path, simple=True, separator='/'): leaf for path, leaf in jax.tree.leaves_with_path(tree)}


def check_same(stored: Mapping[str, Any], expected: Mapping[str, Any], what: str, dtypes: bool = True) -> None:
    """Raises UserError that names the first few leaves whose shape (or dtype) differs between two dicts of leaves."""
    describe = lambda leaf: 'absent' if leaf is None else f'{leaf.dtype if dtypes else ""}{list(leaf.shape)}'
    pairs = {name: (describe(stored.get(name)), describe(expected.get(name))) for name in {**expected, **stored}}
    wrong = [f'{name}: {old} there, {new} here' for name, (old, new) in pairs.items() if old != new]
    if wrong:
        more = f'; and {len(wrong) - 3} more' if len(wrong) > 3 else ''
        raise UserError(f'{what} is of another model or config: {"; ".join(wrong[:3])}{more}; '
                        'use the config that it was made with, or another folder')


def save_weights(path: str | AnyPath, params: Any, dtype: Any = None) -> None:
    """Writes the leaves to one .npz by name, atomically; floating ones as dtype unless it is None (np.float16 halves the file).

    They are not compressed: zlib takes a few per cent from weights, and ten times as long as writing them.
    """
    arrays = {name: np.asarray(leaf) for name, leaf in named_leaves(params).items()}
    if dtype is not None:
        arrays = {name: array.astype(dtype) if np.issubdtype(array.dtype, np.floating) else array for name, array in arrays.items()}

    def write(part):
        with open(part, 'wb') as file:
            np.savez(file, **arrays)
    replace_atomically(path_of(path), write)


def load_weights(path: str | AnyPath, abstract: Any) -> Any:
    """The tree that save_weights wrote, in the dtypes of `abstract` (tree of arrays or jax.ShapeDtypeStruct), as numpy arrays.

    Raises UserError where the file is missing or damaged, or its names or shapes are not those of the tree.
    """
    expected = named_leaves(abstract)
    try:
        with local_copy(path_of(path)) as local, open(local, 'rb') as file:
            arrays = dict(np.load(file, allow_pickle=False))
    except DAMAGED as error:
        raise UserError(f'the weights {path} cannot be read: {error}; get or make the file again') from error
    check_same(arrays, expected, f'the weights {path}', dtypes=False)
    return jax.tree.unflatten(jax.tree.structure(abstract), [arrays[name].astype(leaf.dtype) for name, leaf in expected.items()])


def read_tensors(path: str | pathlib.Path) -> dict[str, np.ndarray]:
    """The arrays of a published file of weights by name. Raises UserError where the file is missing, damaged or of another format."""
    path = pathlib.Path(path)
    if path.suffix not in ('.safetensors', '.npz'):
        raise UserError(f'model.weights is {str(path)!r}; give a .safetensors or .npz file')
    if not path.is_file():
        raise UserError(f'model.weights: there is no file {path}; nothing is downloaded: put it there, or set model.weights to None')
    try:
        if path.suffix == '.safetensors':
            return safetensors.numpy.load_file(path)
        with np.load(path) as file:
            return dict(file)
    except (*DAMAGED, safetensors.SafetensorError) as error:
        raise UserError(f'model.weights: {path} cannot be read ({" ".join(str(error).split())}); get the file again') from error
