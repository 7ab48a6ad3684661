"""A .safetensors file written tensor by tensor, so that one tensor at a time is in memory."""
import dataclasses
import json
import math
import pathlib
from collections.abc import Callable

import numpy as np

from tqd_jax.models.io.containers.safetensors_file import DTYPES

METADATA = {'format': 'pt'}  # without it diffusers does not read the file


@dataclasses.dataclass(frozen=True, kw_only=True)
class Output:
    """A tensor to be written; read() fetches its values from the devices."""
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], np.ndarray]

    @property
    def bytes(self):
        return math.prod(self.shape) * self.dtype.itemsize


def write_tensors(path: pathlib.Path, tensors: list[Output]) -> None:
    """A .safetensors file; the tensors are fetched one by one. Wider dtypes stand first, so that each begins at a multiple of its size."""
    kinds = {dtype: kind for kind, dtype in DTYPES.items()}
    tensors = sorted(tensors, key=lambda tensor: -tensor.dtype.itemsize)
    header, end = {'__metadata__': METADATA}, 0
    for tensor in tensors:
        begin, end = end, end + tensor.bytes
        header[tensor.name] = {'dtype': kinds[tensor.dtype], 'shape': tensor.shape, 'data_offsets': [begin, end]}
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as file:
        file.write(len(text).to_bytes(8, 'little') + text)
        for tensor in tensors:
            file.write(np.ascontiguousarray(tensor.read()).reshape(-1).view(np.uint8))
