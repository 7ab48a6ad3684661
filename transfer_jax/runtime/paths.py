"""Where a run lives: a folder of this machine or of an object store (gs://, s3://), behind pathlib's interface."""
import contextlib
import hashlib
import os
import pathlib
import secrets
import shutil
import tempfile
from collections.abc import Iterator

import fsspec
from etils import epath

from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.folder.home import local_path

AnyPath = pathlib.Path | epath.Path
STORES = {'gs': 'gs gcs', 's3': 's3 s3a'}  # schemes, and fsspec's names of each
BACKENDS = frozenset('aiobotocore aiohttp botocore gcsfs google requests s3fs'.split())  # packages whose errors are a store's


def path_of(name: str | os.PathLike) -> AnyPath:
    """The path of a local file or folder, ~ at its beginning replaced (`local_path`), or of one in an object store, whose text is its URL.

    Raises:
      UserError: name is a URL of another kind, or names no bucket.
    """
    text = os.fspath(name)
    scheme, mark, place = text.partition('://')
    if not mark:
        return local_path(name)
    if scheme not in STORES:
        raise UserError(f'{text}: a run, or its cache, is in a local folder or at {" or ".join(f"{known}://" for known in STORES)}')
    if not place.partition('/')[0]:
        raise UserError(f'{text} names no bucket: write {scheme}://BUCKET/PATH')
    for protocol in STORES[scheme].split():  # what another host has written is seen at once
        fsspec.config.conf.setdefault(protocol, {}).setdefault('use_listings_cache', False)
    return epath.Path(text)


def is_remote(path: str | os.PathLike) -> bool:
    """Whether a path is in an object store."""
    return os.fspath(path).partition('://')[0] in STORES and '://' in os.fspath(path)


def store_of(path: str | os.PathLike) -> tuple[fsspec.AbstractFileSystem, str]:
    """(fsspec's file system of a path in an object store, its name there)."""
    return fsspec.core.url_to_fs(os.fspath(path_of(path)))


def make_folder(path: AnyPath) -> None:
    """Makes a local folder and those above it; in an object store a folder is what its files' names begin with."""
    if not is_remote(path):
        path.mkdir(parents=True, exist_ok=True)


def remove_folder(path: AnyPath) -> None:
    """Removes a folder with all that is in it, where it is there and as far as it can be."""
    if is_remote(path):
        path.rmtree(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)


def scratch_of(path: AnyPath) -> pathlib.Path:
    """The local folder for what must be files of this machine: a local path itself, or for a URL a folder below TMPDIR.

    What lies there can be fetched or made again, and its names tell its content, so that another start may use it.
    """
    if not is_remote(path):
        return path
    key = hashlib.sha256(os.fspath(path).encode()).hexdigest()[:16]
    return pathlib.Path(tempfile.gettempdir(), f'tqd-{os.getuid()}', key)


@contextlib.contextmanager
def local_copy(path: AnyPath) -> Iterator[pathlib.Path]:
    """A context that gives a local file with the content of a path: its own, or a copy that is removed afterwards.

    Raises:
      FileNotFoundError: there is no such file.
    """
    if not is_remote(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix='tqd-') as folder:
        local = pathlib.Path(folder, path.name)
        system, name = store_of(path)
        system.get_file(name, str(local))
        yield local


def fetch(path: AnyPath, local: pathlib.Path) -> None:
    """Copies a file of an object store to a local one, which is whole or absent; any number of processes may do so at once."""
    local.parent.mkdir(parents=True, exist_ok=True)
    part = local.with_name(f'.{local.name}.{secrets.token_hex(4)}.part')
    system, name = store_of(path)
    try:
        system.get_file(name, str(part))
        os.replace(part, local)
    finally:
        part.unlink(missing_ok=True)


def check_store(path: AnyPath) -> None:
    """Writes a small file below a path in an object store and removes it.

    Raises:
      UserError: that cannot be done: a package, the bucket or the right to write is missing.
    """
    if not is_remote(path):
        return
    try:
        probe = path / f'.probe-{secrets.token_hex(4)}'
        system, name = store_of(probe)
        system.pipe_file(name, b'probe')
        system.rm_file(name)
    except Exception as error:  # every backend has exceptions of its own
        how = "the packages for it are installed by pip install -e '.[cloud]'" if isinstance(error, ImportError) else \
            'the bucket must be there, and this machine have credentials that may write to it'
        raise UserError(f'{path} cannot be written ({summary(error)}): {how}') from error


def is_of_store(error: BaseException) -> bool:
    """Whether an error comes from the packages that reach object stores."""
    return type(error).__module__.partition('.')[0] in BACKENDS


def summary(error: BaseException) -> str:
    """An exception's kind and the beginning of its first line: some say only a name, some the whole answer of a server."""
    return ': '.join([type(error).__name__, *(line[:200] for line in str(error).splitlines()[:1])])
