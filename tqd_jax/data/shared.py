"""Arrays that worker processes of this machine map from one file instead of holding a copy each.

The file has no name, so that it goes with the process that made it, however that process ends; workers open it by the maker's number of it.
"""
import os
import tempfile
import weakref

import numpy as np

ALIGN = 64  # bytes: where an array may begin in a file


def share(owner, arrays):
    """Writes arrays {name: array} to a temporary file that lives as long as `owner`; returns (path, layout), as map_arrays takes them.

    Raises OSError with the folder of temporary files where that is full.
    """
    try:
        file = tempfile.TemporaryFile()
        layout = _write(file, arrays)
        file.flush()
    except OSError as error:
        raise OSError(error.errno, error.strerror, tempfile.gettempdir()) from error
    weakref.finalize(owner, file.close)
    return f'/proc/{os.getpid()}/fd/{file.fileno()}', layout


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
