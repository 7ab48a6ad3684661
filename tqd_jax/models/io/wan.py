"""load_params: published weights of a Wan transformer as our parameters on devices, each device's share read by itself."""
import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tqd_jax.models.io.layout import entries, read_slice
from tqd_jax.models.io.names import by_original_names, to_diffusers
from tqd_jax.models.io.wan_config import read_config
from tqd_jax.models.wan.storage import channel_scale, is_quantised, rounded
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError

__all__ = ['check_whole', 'load_params', 'read_config']
SCALE = 'kernel_scale'


def load_params(tensors: Mapping[str, Any], config: Any, abstract: Any) -> Any:
    """Our parameters (nested dict of jax.Array) from published weights in any layout of tqd_jax.models.io.names.

    tensors: of open_tensors, or any {name: array}. config: a WanConfig with vocab None.
    abstract: jax.ShapeDtypeStruct leaves, the whole tree of parameters or a part of it; their shardings say what this process reads, and
      their dtypes what it keeps. A kernel of int8 or float8_e4m3fn has a `kernel_scale` beside it, and is quantised on reading
      (tqd_jax.models.wan.storage). No more than one device's share of one leaf is in host memory besides what the devices hold.

    Raises UserError, naming tensors: the model lacks some, has others, or one's shape or dtype is not that of the config. ValueError: the
    config has a vocabulary, or a leaf of abstract is none of the published parameters (LoRA) or of another shape.
    """
    if config.vocab is not None:
        raise ValueError(f'published weights take text features, so vocab must be None, got {config.vocab}')
    source = by_original_names(tensors)
    leaves = entries(config)
    check(source, config, leaves)
    return _Reader(config, source.arrays, leaves).tree(abstract)


def check_whole(tensors: Mapping[str, Any], config: Any) -> None:
    """Raises UserError as load_params does, by names, shapes and dtypes alone: nothing is read."""
    check(by_original_names(tensors), config, entries(config))


def check(source, config, leaves):
    """Raises UserError where the weights are not all of the model's tensors, and no others, in its shapes."""
    where = source.path or 'the weights'
    theirs = lambda name: source.files.get(name) or source.prefix + (to_diffusers(name) if source.layout == 'diffusers' else name)
    shapes = {name: entry.shape for entry in leaves.values() for name in entry.names(config)}
    extra = sorted([*source.extra, *(source.files[name] for name in source.arrays.keys() - shapes.keys())])
    missing = sorted(theirs(name) for name in shapes.keys() - source.arrays.keys())
    for what, names in (('lack', missing), ('have, beyond what the model takes,', extra)):
        if names:
            raise UserError(f'{where}: the transformer\'s weights {what} {len(names)} tensor{"s" * (len(names) > 1)}, such as '
                            f'{", ".join(names[:3])}; give the weights of a model of {counted(config.layers, "block")}')
    for name, shape in shapes.items():
        array = source.arrays[name]
        if tuple(array.shape) != shape:
            raise UserError(f'{where}: {theirs(name)} has shape {list(array.shape)}, the config wants {list(shape)}')
        if not jnp.issubdtype(array.dtype, jnp.floating):
            raise UserError(f'{where}: {theirs(name)} is of dtype {array.dtype}, which is no weight; give the weights in bfloat16')


@dataclasses.dataclass(frozen=True)
class _Reader:
    config: Any
    arrays: dict
    entries: dict

    def tree(self, abstract, path=()):
        leaves = {}
        for key, leaf in abstract.items():
            if isinstance(leaf, dict):
                leaves[key] = self.tree(leaf, (*path, key))
            elif key != SCALE:
                leaves |= self._leaf((*path, key), leaf, abstract.get(SCALE) if key == 'kernel' else None)
        return leaves

    def _leaf(self, path, leaf, scale):
        """{name: array} of a leaf, and of the scale beside it."""
        entry, name = self.entries.get(path), '.'.join(path)
        if entry is None or leaf.shape != (shape := entry.our_shape(self.config)):
            raise ValueError(f'{name} of shape {leaf.shape} is not in published weights' + (f', {shape} is' if entry else ''))
        if is_quantised(leaf.dtype) != (scale is not None):
            raise ValueError(f'{name} of dtype {leaf.dtype} {"has" if scale is not None else "lacks"} a {SCALE} beside it')
        if scale is None:
            return {path[-1]: put(leaf, lambda index: self._read(entry, index, leaf.dtype))}
        return self._quantised(entry, leaf, scale)

    def _read(self, entry, index, dtype):
        return joined(read_slice(entry, self.config, self.arrays, index), index, dtype, entry.stacked)

    def _quantised(self, entry, leaf, scale):
        """A kernel and its scale. Each output's scale needs all its inputs, so it is computed once and kept for other devices' shares."""
        table = np.full(scale.shape, np.nan, np.float32)

        def scales(index):
            index = (*index[:-2], slice(0, 1), index[-1])
            if np.isnan(table[index]).any():
                parts = read_slice(entry, self.config, self.arrays, (*index[:-2], slice(None), index[-1]))
                table[index] = joined((channel_scale(part, leaf.dtype) for part in parts), index, np.float32, entry.stacked)
            return table[index]

        def values(index):
            factors = scales(index) if entry.stacked else [scales(index)]
            parts = zip(read_slice(entry, self.config, self.arrays, index), factors, strict=True)
            return joined((rounded(part, factor, leaf.dtype) for part, factor in parts), index, leaf.dtype, entry.stacked)

        return {'kernel': put(leaf, values), SCALE: put(scale, scales)}


def put(leaf, read):
    """The array of leaf's shape, dtype and sharding from read(index): one share in host memory at a time, read once for all its devices."""
    sharding = leaf.sharding or jax.sharding.SingleDeviceSharding(jax.devices()[0])
    shares, arrays = {}, []
    for device, index in sharding.addressable_devices_indices_map(leaf.shape).items():
        bounds = tuple(part.indices(size)[:2] for part, size in zip(index, leaf.shape, strict=True))
        shares.setdefault(bounds, []).append(device)
    for bounds, devices in shares.items():
        values = read(tuple(slice(*bound) for bound in bounds))
        arrays += jax.block_until_ready([jax.device_put(values, device) for device in devices])
        del values  # before the next share is read
    return jax.make_array_from_single_device_arrays(leaf.shape, sharding, arrays, dtype=leaf.dtype)


def joined(parts, index, dtype, stacked):
    """The parts, which come one by one, as one array of a dtype: the elements of a leaf at an index of slices with both ends."""
    whole = np.empty([part.stop - part.start for part in index], dtype)
    for row, part in zip(whole if stacked else whole[None], parts, strict=True):
        row[...] = part
    return whole

