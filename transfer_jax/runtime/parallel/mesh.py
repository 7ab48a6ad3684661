"""Devices: the mesh (data x fsdp x context), the sharding of every tree by rules, and batches from numpy to global arrays."""
import math
import re
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.order import ordered

AXES = ('data', 'fsdp', 'context')
ROWS = ('data', 'fsdp')  # the axes over which a batch is split
PARTS = ('fsdp', 'context')  # the axes over which parameters are split
Rules = Sequence[tuple[str, tuple[str | None, ...]]]


def make_mesh(data: int = -1, fsdp: int = 1, context: int = 1, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """The mesh of data x fsdp x context devices, axes typed Auto, in the order of transfer_jax.runtime.parallel.order.

    Args:
      data: devices over which only the batch is split; -1: all that the others leave.
      fsdp: devices over which batch and parameters are split; -1 as for data.
      context: devices that share a part of the batch, over which the tokens of an example and the parameters are split; -1 as for data.
      devices: the devices to use, all of them by default.

    Raises:
      UserError: data x fsdp x context is not the number of devices, or cannot be made so.
    """
    devices = jax.devices() if devices is None else devices
    shape = mesh_shape(len(devices), data, fsdp, context)
    return Mesh(ordered(devices, shape), AXES, axis_types=(AxisType.Auto,) * len(AXES))


def mesh_shape(devices: int, data: int, fsdp: int, context: int) -> tuple[int, int, int]:
    """The shape of make_mesh's mesh over so many devices. Raises UserError as it does."""
    sizes = data, fsdp, context
    fixed = [size for size in sizes if size != -1]
    free = devices // max(1, math.prod(fixed))
    shape = tuple(free if size == -1 else size for size in sizes)
    if len(fixed) < 2 or min(shape) < 1 or math.prod(shape) != devices:
        raise UserError(f'mesh data={data} x fsdp={fsdp} x context={context} does not fit {counted(devices, "device")}; the '
                        'product must be their number, and one of the three may be -1 (all the rest); the keys are config.mesh.data, '
                        'config.mesh.fsdp and config.mesh.context')
    return shape


def shard_tree(abstract: Any, mesh: Mesh, min_size: int = 2**18, rules: Rules = ()) -> Any:
    """The sharding of a whole tree (parameters, optimizer state, averages), the same for init, step and restore.

    The first rule whose expression is found in a leaf's path, keys joined by '/', says which of its axes is split. A leaf that no rule
    matches, or whose axis the mesh does not divide, is split on its largest axis that the mesh divides (of equal ones the last) where it
    has at least min_size elements, and else replicated. `split` says how the mesh splits an axis.

    Args:
      abstract: any pytree whose leaves have a shape (arrays or jax.ShapeDtypeStruct).
      mesh: of make_mesh.
      rules: pairs of an expression and a spec, one entry for each axis of the leaf: 'parameters' where it is split, or None.

    Returns:
      The same tree with a NamedSharding for each leaf.
    """
    place = lambda path, leaf: NamedSharding(mesh, parameter_spec(_name(path), leaf.shape, mesh, min_size, rules))
    return jax.tree_util.tree_map_with_path(place, abstract)


def parameter_spec(name: str, shape: tuple[int, ...], mesh: Mesh, min_size: int = 2**18, rules: Rules = ()) -> PartitionSpec:
    """The spec of one leaf of shard_tree; name: its path, keys joined by '/'."""
    found = next((spec for expression, spec in rules if re.search(expression, name)), None)
    if found is not None and 'parameters' not in found:
        return PartitionSpec()
    if found is not None and len(found) == len(shape):
        axis = found.index('parameters')
        if axes := split(shape[axis], mesh):
            return _on(axis, axes)
    if np.prod(shape) < min_size:
        return PartitionSpec()
    splits = [split(size, mesh) for size in shape]
    best = max(range(len(shape)), key=lambda axis: (len(splits[axis]), shape[axis], axis), default=None)
    return _on(best, splits[best]) if best is not None and splits[best] else PartitionSpec()


def split(size: int, mesh: Mesh) -> tuple[str, ...]:
    """The axes of the mesh over which an axis of a parameter is split: of fsdp and context, fsdp, or context those that divide its size
    into most parts; () where none does."""
    parts = lambda axes: math.prod(mesh.shape[axis] for axis in axes)
    axes = max((axes for axes in (PARTS, *((axis,) for axis in PARTS), ()) if size % parts(axes) == 0), key=parts)
    return tuple(axis for axis in axes if mesh.shape[axis] > 1)


def _on(axis, axes):
    """The spec that splits one axis."""
    return PartitionSpec(*[None] * axis, axes if len(axes) > 1 else axes[0])


def _name(path):
    """The keys of a path, joined by '/'."""
    return '/'.join(str(getattr(key, 'key', getattr(key, 'name', getattr(key, 'idx', key)))) for key in path)


def replicated(mesh: Mesh) -> NamedSharding:
    """The sharding of an array that every device holds whole."""
    return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """The sharding of a batch: its leading axis over data and fsdp; the devices of one context have the same rows."""
    return NamedSharding(mesh, PartitionSpec(ROWS))


def row_parts(mesh: Mesh) -> int:
    """The number of parts into which a batch is split: data x fsdp."""
    return math.prod(mesh.shape[axis] for axis in ROWS)


def check_batch(size: int, mesh: Mesh) -> None:
    """Raises UserError where a global batch of this size does not divide over data x fsdp of the mesh."""
    check_parts(size, row_parts(mesh), mesh.size)


def check_parts(size: int, parts: int, devices: int) -> None:
    """Raises UserError where a batch of this size does not divide into the parts of a mesh of so many devices."""
    if size % parts:
        below = size - size % parts
        near = f'{below} or {below + parts}' if below else f'{parts}'
        where = counted(parts, 'device') if parts == devices else f'{counted(parts, "group")} of {counted(devices // parts, "device")}'
        raise UserError(f'a batch of {size} does not divide over {where}; take {near}')


def local_rows(size: int, mesh: Mesh) -> tuple[int, ...] | None:
    """The rows of a global batch of this size that lie on this process's devices, ascending, as to_global takes them; None: all of them.

    The mesh decides: its devices need not be in the order of the processes, and a row may be of several processes.

    Raises:
      UserError: there are several processes, and the batch does not divide over the mesh.
    """
    if jax.process_count() == 1:
        return None
    check_batch(size, mesh)
    return _rows_here(size, mesh)


def _rows_here(size, mesh):
    places = batch_sharding(mesh).addressable_devices_indices_map((size,)).values()
    return tuple(sorted({row for place, in places for row in range(*place.indices(size))}))


def to_global(batch: Any, mesh: Mesh) -> Any:
    """The batch as global arrays, split by batch_sharding.

    Args:
      batch: tree of numpy arrays, each with the rows of this process (`local_rows`) on the leading axis.

    Raises:
      UserError: the global batch does not divide over the mesh.
    """
    sharding, parts = batch_sharding(mesh), row_parts(mesh)
    size = len(jax.tree.leaves(batch)[0]) * parts // len(_rows_here(parts, mesh))
    check_batch(size, mesh)
    first = {row: place for place, row in enumerate(_rows_here(size, mesh))}

    def put(rows):
        rows = np.asarray(rows)
        part = lambda index: rows[first[index[0].indices(size)[0]]:][:size // parts]
        return jax.make_array_from_callback((size, *rows.shape[1:]), sharding, part)
    return jax.tree.map(put, batch)
