"""The header of a .safetensors file: where each array lies, in every dtype that published weights have, float8 and bfloat16 too."""
import json
import math
import pathlib

import ml_dtypes
import numpy as np

from tqd_jax.models.io.containers.tensor import Tensor
from transfer_jax.runtime.errors import UserError

DTYPES = {name: np.dtype(kind) for name, kind in {
    'BOOL': np.bool_, 'U8': np.uint8, 'I8': np.int8, 'I16': np.int16, 'U16': np.uint16, 'I32': np.int32, 'U32': np.uint32, 'I64': np.int64,
    'U64': np.uint64, 'F16': np.float16, 'BF16': ml_dtypes.bfloat16, 'F32': np.float32, 'F64': np.float64,
    'F8_E4M3': ml_dtypes.float8_e4m3fn, 'F8_E5M2': ml_dtypes.float8_e5m2}.items()}
LONGEST = 100_000_000  # bytes of a header, the format's own limit


def read_header(path: pathlib.Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """({name: Tensor}, metadata) of a .safetensors file: 8 bytes, the length n of the header, little-endian; n bytes of JSON; the data.

    Raises UserError, naming file and array, where the header is no such JSON, an array's place does not fit its shape and dtype, or the
    file ends before the data do.
    """
    with open(path, 'rb') as file:
        length = int.from_bytes(file.read(8), 'little')
        text = file.read(length) if length <= LONGEST else b''
    if len(text) < length or not length:
        raise UserError(f'{path} is cut short within its header; get the file again')
    try:
        header = dict(json.loads(text))
        metadata = dict(header.pop('__metadata__', {}))
    except (ValueError, TypeError) as error:
        raise UserError(f'{path} cannot be read: its header is no table of arrays ({error}); get the file again') from None
    size = path.stat().st_size
    return {name: _tensor(path, name, entry, 8 + length, size) for name, entry in header.items()}, metadata


def is_safetensors(start: bytes) -> bool:
    """Whether a file that starts with these bytes, at least 9 of them, is a .safetensors file."""
    return len(start) > 8 and int.from_bytes(start[:8], 'little') <= LONGEST and start[8:9] == b'{'


def _tensor(path, name, entry, start, size):
    try:
        kind, shape, (begin, end) = entry['dtype'], tuple(map(int, entry['shape'])), map(int, entry['data_offsets'])
    except (TypeError, KeyError, ValueError):
        raise UserError(f'{path}: the header has no dtype, shape and place of {name!r}; get the file again') from None
    if kind not in DTYPES:
        raise UserError(f'{path}: {name!r} is of dtype {kind}, which is not supported; those that are: {", ".join(DTYPES)}')
    if min(begin, *shape, 0) < 0 or end - begin != math.prod(shape) * DTYPES[kind].itemsize:
        raise UserError(f'{path}: {name!r} has {end - begin} bytes, which are not {list(shape)} of {kind}; get the file again')
    if start + end > size:
        raise UserError(f'{path} is cut short: {name!r} ends at byte {start + end}, the file at {size}; get the file again')
    return Tensor(path=path, offset=start + begin, shape=shape, dtype=DTYPES[kind])
