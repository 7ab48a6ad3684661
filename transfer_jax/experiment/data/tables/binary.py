"""Files of whole arrays: .npz, .npy and .mat, sparse ones too."""
import io
import pathlib
import zipfile

import scipy.io
import scipy.sparse

from transfer_jax.experiment.data.tables import objects
from transfer_jax.experiment.data.tables.fields import Fields, Table, field, open_file, stem_of
from transfer_jax.experiment.data.tables.sparse import is_sparse
from transfer_jax.runtime.errors import UserError


def read_npz(path: pathlib.Path, fields: Fields) -> Table:
    """The Table of an .npz file; one of scipy.sparse.save_npz holds features alone, and has labels and domains beside it, as an .npy."""
    with open_file(path) as stream:
        if not zipfile.is_zipfile(stream):  # np.load would give a message about pickles
            raise ValueError('no zip archive')
        with zipfile.ZipFile(stream) as file:
            names = tuple(name.removesuffix('.npy') for name in file.namelist())
            read = lambda name: objects.read_npy(f'{path}, field {name!r}', io.BytesIO(file.read(f'{name}.npy')))
            if {'format', 'indptr', 'shape'} <= set(names):
                return _features_beside(path, scipy.sparse.load_npz(stream), fields)
            x, y, d = (field(path, read, names, key, getattr(fields, key)) for key in ('features', 'labels', 'domain'))
            texts = lambda key: tuple(str(name) for name in read(key)) if key in names else None
            return Table(x=x, y=y, d=d, classes=texts('classes'), domains=texts('domains'), names=names)


def read_npy(path: pathlib.Path, fields: Fields) -> Table:
    """Features, with labels and domains in files beside: x.npy, y.npy, d.npy, or NAME_x.npy, NAME_y.npy; or one array with named fields."""
    whole = _read_npy(path)
    if whole.dtype.names:
        names = whole.dtype.names
        x, y, d = (field(path, lambda name: whole[name], names, key, getattr(fields, key)) for key in ('features', 'labels', 'domain'))
        return Table(x=x, y=y, d=d, names=names)
    return _features_beside(path, whole, fields)


def _features_beside(path, x, fields):
    """The Table of features, with labels and domains in files beside."""
    y, d = (beside(path, fields, getattr(fields, key)) for key in ('labels', 'domain'))
    if y is None or not y.exists():
        wanted = y or f'{pathlib.Path(path).with_name(fields.features or "x")}.npy beside {fields.labels}.npy'
        raise UserError(f'{path} is one array, and labels are wanted in {wanted}; or save both: np.savez(FILE, x=features, y=labels)')
    d = d if d is not None and d.exists() else None
    names = (fields.features, fields.labels, *([fields.domain] if d else []))
    return Table(x=x, y=_read_npy(y), d=d and _read_npy(d), names=names)


def _read_npy(path):
    with open_file(path) as stream:
        return objects.read_npy(str(path), stream)


def beside(path: pathlib.Path, fields: Fields, name: str | None) -> pathlib.Path | None:
    """The .npy file of another field beside one of features, x.npy or NAME_x.npy (or .npz); None where the file is not called so."""
    stem, features = stem_of(path), fields.features or 'x'
    if name is None or not (stem == features or stem.endswith(f'_{features}')):
        return None
    suffix = pathlib.Path(path).name.removeprefix(stem).replace('.npz', '.npy')
    return pathlib.Path(path).with_name(stem.removesuffix(features) + name + suffix)


def read_mat(path: pathlib.Path, fields: Fields) -> Table:
    """The Table of a .mat file; a cell array is one task a cell."""
    with open_file(path) as stream:
        names = [name for name, _, _ in scipy.io.whosmat(stream)]
        stream.seek(0)
        file = scipy.io.loadmat(stream, variable_names=[name for name in (fields.features, fields.labels, fields.domain) if name])
    x, y = (field(path, file.get, names, key, getattr(fields, key)) for key in ('features', 'labels'))
    y = y.toarray() if is_sparse(y) else y
    if x.dtype == object:  # a cell array: one task each
        return Table(x=x.ravel(), y=y.ravel(), names=tuple(names))
    return Table(x=x, y=y, d=field(path, file.get, names, 'domain', fields.domain), names=tuple(names))
