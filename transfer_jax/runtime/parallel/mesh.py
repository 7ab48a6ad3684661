"""Devices: the mesh (data x fsdp), one sharding rule for every tree, and batches from numpy to global arrays."""
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from transfer_jax.runtime.errors import UserError

AXES = ('data', 'fsdp')


def make_mesh(data: int = -1, fsdp: int = 1, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """The mesh of data x fsdp devices, axes typed Auto.

    Args:
      data: devices over which only the batch is split; -1: all devices over fsdp.
      fsdp: devices over which batch and parameters are split; -1: all devices over data.
      devices: the devices to use, all of them by default.

    Raises:
      UserError: data x fsdp is not the number of devices, or cannot be made so.
    """
    devices = jax.devices() if devices is None else devices
    sizes = {'data': data, 'fsdp': fsdp}
    fixed = [size for size in sizes.values() if size != -1]
    free = len(devices) // (fixed[0] if fixed and fixed[0] > 0 else 1)
    shape = tuple(free if size == -1 else size for size in sizes.values())
    if not fixed or min(shape) < 1 or shape[0] * shape[1] != len(devices):
        raise UserError(f'mesh data={data} x fsdp={fsdp} does not fit {len(devices)} devices; '
                        'the product must be their number, and one of the two may be -1 (all the rest); the keys are config.mesh.data and '
                        'config.mesh.fsdp')
    return Mesh(np.asarray(devices).reshape(shape), AXES, axis_types=(AxisType.Auto,) * 2)


def shard_tree(abstract: Any, mesh: Mesh, min_size: int = 2**18) -> Any:
    """The sharding of a whole tree (parameters, optimizer state, averages), the same for init, step and restore.

    A leaf of at least min_size elements is split on its largest axis that the mesh's fsdp divides (of equal ones the last); smaller
    leaves, and leaves without such an axis, are replicated.

    Args:
      abstract: any pytree whose leaves have a shape (arrays or jax.ShapeDtypeStruct).
      mesh: of make_mesh.

    Returns:
      The same tree with a NamedSharding for each leaf.
    """
    return jax.tree.map(lambda leaf: NamedSharding(mesh, _spec(leaf.shape, mesh.shape['fsdp'], min_size)), abstract)


def _spec(shape, parts, min_size):
    divisible = [axis for axis, size in enumerate(shape) if size % parts == 0]
    if parts == 1 or not divisible or np.prod(shape) < min_size:
        return PartitionSpec()
    best = max(divisible, key=lambda axis: (shape[axis], axis))
    return PartitionSpec(*('fsdp' if axis == best else None for axis in range(best + 1)))


def replicated(mesh: Mesh) -> NamedSharding:
    """The sharding of an array that every device holds whole."""
    return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """The sharding of a batch: its leading axis over all devices, on both axes of the mesh."""
    return NamedSharding(mesh, PartitionSpec(AXES))


def check_batch(size: int, mesh: Mesh) -> None:
    """Raises UserError where a global batch of this size does not divide over the mesh's devices."""
    if size % mesh.size:
        below = size - size % mesh.size
        near = f'{below} or {below + mesh.size}' if below else f'{mesh.size}'
        raise UserError(f'a batch of {size} does not divide over {mesh.size} devices; take {near}')


def local_rows(size: int, mesh: Mesh) -> tuple[int, ...] | None:
    """The rows of a global batch of this size that lie on this process's devices, ascending, as to_global takes them; None: all of them.

    The mesh decides: its devices need not be in the order of the processes.

    Raises:
      UserError: there are several processes, and the batch does not divide over the devices.
    """
    if jax.process_count() == 1:
        return None
    check_batch(size, mesh)
    places = batch_sharding(mesh).addressable_devices_indices_map((size,)).values()
    return tuple(sorted(row for place, in places for row in range(*place.indices(size))))


def to_global(batch: Any, mesh: Mesh) -> Any:
    """The batch as global arrays, split by batch_sharding.

    Args:
      batch: tree of numpy arrays, each with the rows of this process (`local_rows`) on the leading axis.

    Raises:
      UserError: the global batch does not divide over the devices.
    """
    sharding = batch_sharding(mesh)
    check_batch(len(jax.tree.leaves(batch)[0]) * jax.process_count(), mesh)
    return jax.tree.map(lambda rows: jax.make_array_from_process_local_data(sharding, np.asarray(rows)), batch)
