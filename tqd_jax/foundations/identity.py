"""Which published weights a run started from, in a few bytes: checkpoints hold it, and resuming and export compare it."""
import hashlib

import numpy as np


def identity_of(tensors) -> str:
    """A hash of every tensor's name, shape, dtype and first element, 16 hexadecimal digits; tensors: of open_tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        first = np.asarray(tensor.read((slice(0, 1),) * len(tensor.shape)))  # a marker of fp8 may be empty
        digest.update(f'{name} {tensor.shape} {tensor.dtype}'.encode() + first.tobytes())
    return digest.hexdigest()[:16]
