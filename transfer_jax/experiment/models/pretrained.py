"""Weights of torchvision's and timm's networks -> arrays by this package's paths: names, axes, and the grid of positions."""
import math
import pathlib
import re
from collections.abc import Mapping

import jax
import numpy as np

from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.tensors import read_tensors

LEAVES = {'kernel': 'weight', 'scale': 'weight', 'mean': 'running_mean', 'var': 'running_var'}
TORCHVISION = (('cls_token', 'class_token'), ('pos_embed', 'encoder.pos_embedding'), (r'patch_embed\.', 'conv_proj.'),
               (r'blocks\.(\d+)', r'encoder.layers.encoder_layer_\1'), (r'\.norm', '.ln_'), (r'^norm', 'encoder.ln'),
               (r'attn\.qkv\.', 'self_attention.in_proj_'), ('attn.proj', 'self_attention.out_proj'), ('^head', 'heads.head'))
LAYOUTS = (  # replacements (pattern, text) that turn our names into a file's
    (('^head', 'fc'),),  # ResNets, of either
    ((r'patch_embed\.', 'patch_embed.proj.'),),  # timm's transformers
    (*TORCHVISION, ('mlp.fc1', 'mlp.0'), ('mlp.fc2', 'mlp.3')),
    (*TORCHVISION, ('mlp.fc', 'mlp.linear_')),  # torchvision's published files have these older names
)


def load(path: str | pathlib.Path, leaves: Mapping[tuple, jax.ShapeDtypeStruct], grid: tuple[int, int] | None = None) -> tuple[
        dict[tuple, np.ndarray], tuple[str, ...]]:
    """(arrays, notes): {our path: float32 array} of all leaves but a head that does not fit; a line for each change to the file's arrays.

    path: a .safetensors or .npz file, the state dict of a ResNet or a vision transformer by torchvision's or timm's names, which are
    recognised. leaves: {our path: shape and dtype}. grid: patches along rows and columns, where there are positions: those of another grid
    are interpolated, bicubic with antialiasing, as timm does.
    A head of another number of outputs is left out, and so is one that the file lacks.
    Raises UserError, naming file and tensor, for a file that cannot be read, or tensors that are missing, superfluous, misshapen or
    not finite.
    """
    file = {name: array for name, array in read_tensors(path).items() if not name.endswith('num_batches_tracked')}
    layout = max(LAYOUTS, key=lambda layout: len(file.keys() & set(_flat(_names(leaves, layout)))))
    names, notes = _names(leaves, layout), []
    for name in names.get(('pos_embed',), {}).keys() & file.keys():
        file[name] = _on_grid(file[name], grid, f'{path}: {name}', notes)
    head = _flat({ours: theirs for ours, theirs in names.items() if ours[0] == 'head'})
    if _other_head(file, head):
        notes.append(_head_note(path, file, head))
        file = {name: array for name, array in file.items() if name not in head}
        names = {ours: theirs for ours, theirs in names.items() if ours[0] != 'head'}
    _check(path, file, _flat(names))
    return {ours: _ours(file, theirs, leaves[ours].ndim) for ours, theirs in names.items()}, tuple(notes)


def _names(leaves, layout):
    """{our path: {their name: their shape}}: one tensor, or one a block where blocks are stacked."""
    names = {}
    for ours, leaf in leaves.items():
        if ours[0] == 'blocks':
            names[ours] = {_name((ours[0], i, *ours[1:]), layout): _theirs(leaf.shape[1:]) for i in range(leaf.shape[0])}
        else:
            names[ours] = {_name(ours, layout): _theirs(leaf.shape)}
    return names


def _name(path, layout):
    name = '.'.join(map(str, (*path[:-1], LEAVES.get(path[-1], path[-1]))))
    for ours, theirs in layout:
        name = re.sub(ours, theirs, name)
    return name


def _theirs(shape):
    """The file's shape of an array of ours: kernels are [..., in, out] here and [out, in, ...] there; tokens [1, ...] are alike."""
    return {4: shape[3:] + shape[2:3] + shape[:2], 2: shape[::-1]}.get(len(shape), shape)


def _ours(file, theirs, ndim):
    axes = {4: (2, 3, 1, 0), 2: (1, 0)}
    arrays = [np.asarray(file[name], np.float32) for name in theirs]
    arrays = [np.ascontiguousarray(array.transpose(axes.get(array.ndim, range(array.ndim)))) for array in arrays]
    return np.stack(arrays) if arrays[0].ndim < ndim else arrays[0]


def _flat(names):
    return {name: shape for theirs in names.values() for name, shape in theirs.items()}


def _other_head(file, head):
    """Whether a file has no head at all, or a whole one of another shape."""
    file_shapes = {name: file[name].shape for name in head if name in file}
    return not file_shapes or (file_shapes.keys() == head.keys() and file_shapes != head)


def _on_grid(positions, grid, what, notes):
    """Positions [1, 1 + n, D], n a square, on the grid [1, 1 + rows * columns, D]; the class token's is left alone."""
    side = math.isqrt(max(0, positions.shape[1] - 1)) if positions.ndim == 3 else 0
    if (side, side) == grid or not side or side**2 + 1 != positions.shape[1]:
        return positions
    old = np.asarray(positions[0, 1:], np.float32).reshape(side, side, -1)
    new = np.asarray(jax.image.resize(old, (*grid, old.shape[-1]), 'cubic')).reshape(1, -1, old.shape[-1])
    notes.append(f'{what} was interpolated from {side} x {side} patches to {grid[0]} x {grid[1]}')
    return np.concatenate([positions[:, :1].astype(np.float32), new], 1)


def _head_note(path, file, head):
    name, outputs = next((name, shape[0]) for name, shape in head.items() if len(shape) == 1)
    had = f'its head of {counted(len(file[name]), "output")} was left out' if name in file else 'it has no head'
    return f'{path}: {had}; the model\'s, of {outputs}, starts afresh'


def _check(path, file, leaves):
    todo = 'choose the model.kind that the file is of'
    for what, names in (('lacks', leaves.keys() - file.keys()), ('has, beyond what the model takes,', file.keys() - leaves.keys())):
        if names:
            raise UserError(f'{path} {what} {len(names)} tensor{"s" * (len(names) > 1)}, such as {", ".join(sorted(names)[:3])}; {todo}')
    for name, shape in leaves.items():
        if file[name].shape != shape:
            raise UserError(f'{path}: {name} has shape {list(file[name].shape)}, the model wants {list(shape)}; {todo} and fitting images')
        if not np.isfinite(file[name]).all():
            raise UserError(f'{path}: {name} holds NaN or infinity; get the file again')
