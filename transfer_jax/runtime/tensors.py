"""Named tensors from files that the user has: safetensors or npz."""
import pathlib
import zipfile

import numpy as np
import safetensors
import safetensors.numpy

from transfer_jax.runtime.errors import UserError


def read_tensors(path):
    """The arrays of a file by name. Raises UserError where there are none."""
    path = pathlib.Path(path)
    if path.suffix not in ('.safetensors', '.npz'):
        raise UserError(f'model.weights is {str(path)!r}; give a .safetensors or .npz file')
    if not path.is_file():
        raise UserError(f'model.weights: there is no file {path}; nothing is downloaded: put it there, or set model.weights to None')
    try:
        if path.suffix == '.safetensors':
            return safetensors.numpy.load_file(path)
        with np.load(path) as file:
            return dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, safetensors.SafetensorError) as error:
        raise UserError(f'model.weights: {path} cannot be read ({" ".join(str(error).split())}); get the file again') from error
