"""Which published weights a run started from, in a few bytes: checkpoints hold it, and resuming and export compare it."""
import hashlib
import pathlib

import numpy as np

from tqd_jax.models.io.files import open_tensors
from tqd_jax.models.io.places import find_transformers


def identity_of(tensors) -> str:
    """A hash of every tensor's name, shape, dtype and first element, 16 hexadecimal digits; tensors: of open_tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        first = np.asarray(tensor.read((slice(0, 1),) * len(tensor.shape)))  # a marker of fp8 may be empty
        digest.update(f'{name} {tensor.shape} {tensor.dtype}'.encode() + first.tobytes())
    return digest.hexdigest()[:16]


def find_identical(path: str | pathlib.Path, identity: str) -> pathlib.Path | None:
    """The first transformer in a file or folder that has the identity, None where none has; other parts of the model may be absent."""
    return next((place for place in find_transformers(path) if identity_of(open_tensors(place)) == identity), None)
