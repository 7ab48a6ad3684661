"""Arrays of Python objects that np.save pickled: read where they hold texts or numbers, by a reader that can build nothing else."""
import codecs
import pickle
from typing import IO

import numpy as np

from transfer_jax.runtime.errors import UserError

BUILDERS = {(module, name) for module in ('numpy.core.multiarray', 'numpy._core.multiarray') for name in ('_reconstruct', 'scalar')} | {
    ('numpy', 'ndarray'), ('numpy', 'dtype')}


def read_npy(where: str, file: IO[bytes]) -> np.ndarray:
    """The array of an .npy stream. Raises UserError for objects that are no plain texts and numbers, ValueError for another format."""
    version = np.lib.format.read_magic(file)
    header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    file.seek(0) if hasattr(file, 'seek') else None
    if header is None:
        return np.load(file, allow_pickle=False)
    np.lib.format.read_magic(file)
    _, _, dtype = header(file)
    if not dtype.hasobject:
        file.seek(0)
        return np.load(file, allow_pickle=False)
    try:
        return plain(where, np.asarray(_Plain(file).load()))
    except pickle.UnpicklingError as error:
        raise UserError(f'{where} holds Python objects ({error}); save plain arrays: np.savez(FILE, x=features, y=labels) with '
                        'labels.astype(str) or integers, and sparse features as features.toarray()') from None


def plain(where: str, values: np.ndarray) -> np.ndarray:
    """An array of objects as texts or numbers where all are; cells of arrays stay. Raises UserError, with the entry, where they mix."""
    if values.dtype != object or any(isinstance(value, np.ndarray) for value in values.flat):
        return values
    whole, number = (int, np.integer), (int, float, np.integer, np.floating)
    for kinds, dtype in ((str, str), ((bool, np.bool_), bool), (whole, None), (number, float)):
        if all(isinstance(value, kinds) and not (isinstance(value, bool) and dtype is not bool) for value in values.flat):
            return np.array(values.tolist(), dtype)
    kinds = [type(value).__name__ for value in values.flat]
    odd = next((row for row, kind in enumerate(kinds) if kind != kinds[0]), 0)
    raise UserError(f'{where} holds Python objects: entry {odd} is {values.flat[odd]!r} ({kinds[odd]}), entry 0 {values.flat[0]!r} '
                    f'({kinds[0]}); save it as texts or as numbers alone, astype(str) or astype(float)')


class _Plain(pickle.Unpickler):
    """An unpickler of NumPy arrays and scalars alone."""

    def find_class(self, module, name):
        if (module, name) in BUILDERS:
            return super().find_class(module, name)
        if (module, name) == ('_codecs', 'encode'):
            return codecs.encode
        raise pickle.UnpicklingError(f'{module}.{name}')
