"""Files of published weights, written by hand: .safetensors in every dtype, and PyTorch's zip."""
import json
import zipfile

import ml_dtypes
import numpy as np

DTYPES = {'F8_E4M3': ml_dtypes.float8_e4m3fn, 'F8_E5M2': ml_dtypes.float8_e5m2, 'BF16': ml_dtypes.bfloat16, 'F16': np.float16,
          'F32': np.float32, 'I8': np.int8, 'U8': np.uint8, 'I64': np.int64, 'BOOL': np.bool_}


def write_safetensors(path, arrays, metadata=None):
    """A .safetensors file by hand, of dtypes that the package's NumPy writer lacks too, at odd offsets."""
    kinds = {np.dtype(kind): name for name, kind in DTYPES.items()}
    header, data = {'__metadata__': metadata} if metadata else {}, b''
    for name, array in arrays.items():
        begin, data = len(data), data + array.tobytes()
        header[name] = {'dtype': kinds[array.dtype], 'shape': list(array.shape), 'data_offsets': [begin, len(data)]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, 'little') + text + data)
    return path


def write_torch(path, pickled, storages, order=b'little', compression=zipfile.ZIP_STORED):
    """PyTorch's zip by hand."""
    with zipfile.ZipFile(path, 'w', compression) as archive:
        archive.writestr('any/data.pkl', pickled)
        archive.writestr('any/byteorder', order)
        for name, data in storages.items():
            archive.writestr(f'any/data/{name}', data)
    return path
