"""Which device stands where in a mesh: along a TPU's interconnect, and slices on an axis whose collectives are few."""
from collections.abc import Sequence

import jax
import numpy as np
from jax.experimental import mesh_utils

from transfer_jax.runtime.errors import UserError


def ordered(devices: Sequence[jax.Device], shape: tuple[int, ...]) -> np.ndarray:
    """The devices as an array of this shape (data, fsdp, context).

    Devices with coordinates (TPUs) are laid along their interconnect. Those of several slices are spread over `data`, or over `fsdp` where
    `data` does not divide; `context`, whose collectives are many, stays within a slice. All others keep their order, in which the
    devices of a process follow each other.

    Raises:
      UserError: neither data nor fsdp is a multiple of the number of slices.
    """
    if len(devices) == 1 or not all(_has_place(device) for device in devices):
        return np.asarray(devices).reshape(shape)
    slices = len({getattr(device, 'slice_index', 0) for device in devices})
    if slices > 1:
        across = _across(shape, slices)
        inside = tuple(size // parts for size, parts in zip(shape, across, strict=True))
        return mesh_utils.create_hybrid_device_mesh(inside, across, devices, allow_split_physical_axes=True)
    if not _is_box(devices):
        return np.asarray(devices).reshape(shape)
    return mesh_utils.create_device_mesh(shape, devices, allow_split_physical_axes=True)


def _across(shape, slices):
    """How many parts each axis has over the slices."""
    data, fsdp, _ = shape
    if data % slices == 0:
        return slices, 1, 1
    if fsdp % slices == 0:
        return 1, slices, 1
    raise UserError(f'mesh data={data} x fsdp={fsdp} does not spread over {slices} slices: config.mesh.data or config.mesh.fsdp must be a '
                    f'multiple of {slices}')


def _has_place(device):
    return device.platform == 'tpu' and getattr(device, 'coords', None) is not None


def _is_box(devices):
    """Whether the devices have coordinates and fill a box of them: what the interconnect's order is made for."""
    places = np.array([(*device.coords, getattr(device, 'core_on_chip', 0)) for device in devices])
    return len(np.unique(places, axis=0)) == np.prod(np.ptp(places, axis=0) + 1)
