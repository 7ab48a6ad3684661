"""Arrays that worker processes of this machine map from one file instead of holding a copy each."""
import os
import pathlib
import tempfile
import weakref

import numpy as np

ALIGN = 64  # bytes: where an array may begin in a file


def share(owner, arrays):
    """Writes arrays {name: array} to a temporary file that lives as long as `owner`; returns (path, layout), as map_arrays takes them."""
    handle, path = tempfile.mkstemp(prefix='tqd-arrays-')
    weakref.finalize(owner, pathlib.Path(path).unlink, missing_ok=True)
    with os.fdopen(handle, 'wb') as file:
        return path, _write(file, arrays)


def _write(file, arrays):
    """Writes arrays to an empty binary file; returns the layout by which map_arrays finds them, {name: (dtype, shape, place)}."""
    layout = {}
    for name, array in arrays.items():
        file.write(bytes(-file.tell() % ALIGN))
        layout[name] = array.dtype.str, array.shape, file.tell()
        file.write(memoryview(np.ascontiguousarray(array)).cast('B') if array.size else b'')
    return layout


def map_arrays(path, layout):
    """The arrays of a file as they lie there: read from the disk where they are used, and shared by all processes that do."""
    data = np.memmap(path, np.uint8, mode='r').view(np.ndarray)
    return {name: np.ndarray(shape, dtype, data, place) for name, (dtype, shape, place) in layout.items()}
