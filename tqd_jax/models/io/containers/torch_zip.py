"""The arrays of a .pth file (PyTorch's zip of a pickled state dict), read without PyTorch and without running what the pickle names."""
import collections
import dataclasses
import pathlib
import pickle
import zipfile

import ml_dtypes
import numpy as np

from tqd_jax.models.io.containers.tensor import Tensor
from transfer_jax.runtime.errors import UserError

MAGIC = b'PK\x03\x04'
STORAGES = {f'{name}Storage': np.dtype(kind) for name, kind in {
    'Float': np.float32, 'Half': np.float16, 'BFloat16': ml_dtypes.bfloat16, 'Double': np.float64, 'Long': np.int64, 'Int': np.int32,
    'Short': np.int16, 'Char': np.int8, 'Byte': np.uint8, 'Bool': np.bool_}.items()}
DAMAGED = (zipfile.BadZipFile, pickle.UnpicklingError, EOFError, KeyError, IndexError, ValueError, TypeError, AttributeError,
           OverflowError)


def read_torch(path: pathlib.Path) -> dict[str, Tensor]:
    """{name: Tensor} of a state dict that torch.save wrote.

    Raises UserError, naming the file and what is wrong: the zip or its pickle is damaged, the pickle names anything but tensors, their
    storages and ordered dicts, an entry is no tensor, or a tensor reaches beyond its storage.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            root = next(name for name in archive.namelist() if name.endswith('/data.pkl')).removesuffix('data.pkl')
            _check_order(path, archive, root)
            with archive.open(f'{root}data.pkl') as file:
                state = _Unpickler(file, path, archive, root).load()
    except (*DAMAGED, StopIteration) as error:
        raise UserError(f'{path} cannot be read as a PyTorch file ({str(error) or "no data.pkl"}); get the file again') from error
    for name, value in state.items() if isinstance(state, dict) else [('', state)]:
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise UserError(f'{path}: {name!r} is no tensor but {type(value).__name__}; save a plain state dict')
    return dict(state)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Storage:
    """A block of elements in the zip: its first byte in the file, and how many elements of which dtype."""
    path: pathlib.Path
    offset: int
    size: int
    dtype: np.dtype


class _Unpickler(pickle.Unpickler):
    """Makes Tensors; every name in the pickle but those of find_class is refused."""

    def __init__(self, file, path, archive, root):
        super().__init__(file)
        self._path, self._archive, self._root = path, archive, root

    def find_class(self, module, name):
        if (module, name) == ('collections', 'OrderedDict'):
            return collections.OrderedDict
        if (module, name) == ('torch._utils', '_rebuild_tensor_v2'):
            return _rebuild
        if module == 'torch' and name in STORAGES:
            return STORAGES[name]
        raise UserError(f'{self._path} names {module}.{name}, which a file of tensors does not need, so it is not read; '
                        'save a plain state dict, best as .safetensors')

    def persistent_load(self, key):
        kind, dtype, name, _, size = key
        if kind != 'storage' or not isinstance(dtype, np.dtype):
            raise UserError(f'{self._path} has a storage of an unsupported kind {kind!r}; save a plain state dict, best as .safetensors')
        info = self._archive.getinfo(f'{self._root}data/{name}')
        if info.compress_type != zipfile.ZIP_STORED or info.file_size < size * dtype.itemsize:
            raise UserError(f'{self._path}: the storage {name} is compressed or cut short; get the file again')
        return _Storage(path=self._path, offset=_data_offset(self._path, info), size=size, dtype=dtype)


def _rebuild(storage, offset, shape, strides, *_):
    """The Tensor of a view of a storage; what follows the strides concerns gradients alone."""
    tensor = Tensor(path=storage.path, offset=storage.offset + offset * storage.dtype.itemsize, shape=tuple(shape), dtype=storage.dtype,
                    strides=tuple(strides))
    if min(offset, *shape, *strides, 0) < 0 or (tensor.size and offset + tensor.extent > storage.size):
        raise UserError(f'{storage.path}: a tensor of shape {list(shape)} reaches beyond its storage; get the file again')
    return tensor


def _data_offset(path, info):
    """The byte where a member's content begins: after a header of 30 bytes, whose last 4 are the lengths of the two fields that follow."""
    with open(path, 'rb') as file:
        file.seek(info.header_offset + 26)
        name, extra = (int.from_bytes(file.read(2), 'little') for _ in range(2))
    return info.header_offset + 30 + name + extra


def _check_order(path, archive, root):
    if f'{root}byteorder' in archive.namelist() and archive.read(f'{root}byteorder') != b'little':
        raise UserError(f'{path} was written on a big-endian machine, which is not supported; save it on another, best as .safetensors')
