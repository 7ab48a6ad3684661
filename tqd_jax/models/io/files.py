"""open_tensors: the arrays of published weights by name, from a .safetensors or .pth file or a folder of shards, read when asked for."""
import json
import pathlib
import re

from tqd_jax.models.io.containers.safetensors_file import is_safetensors, read_header
from tqd_jax.models.io.containers.tensor import Tensor, Tensors
from tqd_jax.models.io.containers.torch_zip import MAGIC, read_torch
from transfer_jax.runtime.errors import UserError

__all__ = ['Tensor', 'Tensors', 'open_tensors']
INDEX = '.safetensors.index.json'
SHARD = re.compile(r'-\d+-of-(\d+)\.safetensors$')


def open_tensors(path: str | pathlib.Path) -> Tensors:
    """The arrays of a file or folder, of which only names, shapes and dtypes are read yet.

    path: a .safetensors file; a .pth or .pt file (torch.save of a state dict; PyTorch is not needed); or a folder of .safetensors shards:
      those of its index, else those numbered -00001-of-00006, else all. What a file is, its first bytes say, not its name.

    Raises UserError, naming file and array: there is no such file, it is of another format, cut short or damaged; a shard is absent, or
    lacks an array that the index has in it; two shards have one array.
    """
    path = pathlib.Path(path)
    try:
        return _open_folder(path) if path.is_dir() else _open_file(path)
    except OSError as error:
        raise UserError(f'{path} cannot be read ({error.strerror or error}); '
                        'give a .safetensors or .pth file or a folder of shards') from error


def _open_file(path):
    with open(path, 'rb') as file:
        start = file.read(16)
    if start.startswith(MAGIC):
        return Tensors(path=path, arrays=read_torch(path))
    if is_safetensors(start):
        arrays, metadata = read_header(path)
        return Tensors(path=path, arrays=arrays, metadata=metadata)
    pointer = ' but a Git LFS pointer, whose content was not fetched' if start.startswith(b'version https://') else ''
    raise UserError(f'{path} is neither a .safetensors file nor a PyTorch zip (.pth){pointer}; get the file again or convert it')


def _open_folder(path):
    indexes = sorted(path.glob(f'*{INDEX}'))
    if len(indexes) > 1:
        raise UserError(f'{path} has several indexes of shards, {" and ".join(index.name for index in indexes)}; keep one')
    places = _read_index(indexes[0]) if indexes else {}
    shards = sorted(set(places.values())) or _shards(path)
    files = {shard: _open_shard(path, shard, places) for shard in shards}
    _check_index(path, places, files)
    metadata = {key: text for file in files.values() for key, text in file.metadata.items()}
    return Tensors(path=path, arrays=_union(files), metadata=metadata)


def _shards(folder):
    """The shards of a folder without an index: the files that are numbered as such, else all."""
    files = sorted(file.name for file in folder.glob('*.safetensors'))
    series = [name for name in files if SHARD.search(name)]
    if not files:
        raise UserError(f'{folder} has no .safetensors file; give the folder that holds the shards, or a file')
    if series and len(series) != int(SHARD.search(series[0])[1]):
        raise UserError(f'{folder} has {len(series)} of the shards of {series[0]}; get the others, and keep one model in a folder')
    return series or files


def _open_shard(folder, shard, places):
    path = folder / shard
    if not path.is_file():
        name = next(name for name, place in places.items() if place == shard)
        raise UserError(f'{path} is absent; the index has {name!r} in it; get the shard')
    return _open_file(path)


def _read_index(path):
    """{array: name of its shard} of an index; the shards lie beside it."""
    try:
        places = dict(json.loads(path.read_text())['weight_map'])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f'{path} is no index of shards ({error!r}); get the file again, or remove it') from None
    for name, shard in places.items():
        if not isinstance(shard, str) or pathlib.PurePath(shard).name != shard:
            raise UserError(f'{path}: the shard {shard!r} of {name!r} is no file beside the index; get the index again')
    return places


def _check_index(folder, places, files):
    for name, shard in places.items():
        if name not in files[shard]:
            raise UserError(f'{folder / shard} lacks {name!r}, which the index has in it; get the shard again')


def _union(files):
    """One dict of all shards' arrays. Raises UserError where two shards have the same array."""
    arrays, owner = {}, {}
    for shard, file in files.items():
        for name, tensor in file.items():
            if name in owner:
                raise UserError(f'{name!r} is in both {file.path.parent / owner[name]} and {shard}; '
                                'keep the shards of one model in a folder')
            arrays[name], owner[name] = tensor, shard
    return arrays
