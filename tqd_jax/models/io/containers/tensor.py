"""Tensor: one array of a file, read when it is asked for; Tensors: all of a file's arrays by name."""
import dataclasses
import math
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tensor:
    """An array in a file, of which nothing has been read.

    path, offset: the file, and the byte where the first element lies.
    shape, dtype: as NumPy has them; bfloat16 and float8 are ml_dtypes'.
    strides: elements from one entry to the next along each axis; None: row-major.
    """
    path: pathlib.Path
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype
    strides: tuple[int, ...] | None = None

    @property
    def ndim(self):
        return len(self.shape)

    @property
    def size(self):
        return math.prod(self.shape)

    def read(self, index: Any = ...) -> np.ndarray:
        """A copy of the elements that a NumPy index selects; only the pages of the file where they lie are read."""
        if not self.size:
            return np.empty(self.shape, self.dtype)[index]
        # the map lives as long as this call: pages of a longer one would count as the process's memory
        data = np.memmap(self.path, np.uint8, 'r', self.offset, (self.extent * self.dtype.itemsize,))
        strides = self.strides and tuple(stride * self.dtype.itemsize for stride in self.strides)
        return np.array(np.ndarray(self.shape, self.dtype, data, 0, strides)[index])

    __getitem__ = read

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError('an array in a file cannot be had without a copy')
        return self.read() if dtype is None else self.read().astype(dtype, copy=False)

    @property
    def extent(self):
        """Elements from the first to the last, both counted."""
        if self.strides is None:
            return self.size
        return 1 + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tensors(Mapping):
    """The arrays of a file, or of a folder of shards, by name: {name: Tensor}.

    path: the file or folder. metadata: the strings that a .safetensors file carries beside its arrays.
    """
    path: pathlib.Path
    arrays: dict[str, Tensor]
    metadata: dict[str, str] = dataclasses.field(default_factory=dict)

    def __getitem__(self, name):
        return self.arrays[name]

    def __iter__(self):
        return iter(self.arrays)

    def __len__(self):
        return len(self.arrays)
