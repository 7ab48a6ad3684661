"""Files that are whole or absent, even if the process dies while it writes them."""
import contextlib
import os
import pathlib
import tempfile
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from transfer_jax.runtime.paths import AnyPath, is_remote, store_of


def write_atomically(path: AnyPath, data: bytes) -> None:
    """Writes the file, all or nothing. Raises OSError with the path, for a full disk too."""
    if is_remote(path):
        system, name = store_of(path)
        system.pipe_file(name, data)
    else:
        replace_atomically(path, lambda part: part.write_bytes(data))


def replace_atomically(path: AnyPath, write: Callable[[pathlib.Path], Any], *, concurrent: bool = False) -> Any:
    """What write(part) returns, which writes the file's content to the local path `part`; then the file is replaced, all or nothing.

    concurrent: another process may write the same file at this time. Raises OSError with the path, for a full disk too.
    """
    if is_remote(path):
        return _uploaded(path, write)
    unique = f'.{uuid.uuid4().hex}' if concurrent else ''  # else the next attempt overwrites the part of a killed process
    part = path.with_name(f'.{path.name}{unique}.part')
    try:
        result = write(part)
        os.replace(part, path)
        return result
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        with contextlib.suppress(OSError):  # its error must not replace the first one
            part.unlink(missing_ok=True)


def _uploaded(path, write):
    """The same in an object store, where a file appears when its last byte has come."""
    with tempfile.TemporaryDirectory(prefix='tqd-') as folder:
        part = pathlib.Path(folder, path.name)
        result = write(part)
        upload(part, path)
        return result


def upload(local: pathlib.Path, path: AnyPath) -> None:
    """Copies a local file to one of an object store, which appears when its last byte has come."""
    system, name = store_of(path)
    system.put_file(str(local), name)


def upload_folder(local: pathlib.Path, path: AnyPath) -> None:
    """Copies all files below a local folder to one of an object store."""
    for file in sorted(local.rglob('*')):
        if file.is_file():
            upload(file, path / file.relative_to(local))


@contextlib.contextmanager
def local_folder(path: AnyPath) -> Iterator[pathlib.Path]:
    """A context that gives a local copy of a folder of an object store, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix='tqd-') as folder:
        system, name = store_of(path)
        system.get(f'{name}/', f'{folder}/', recursive=True)
        yield pathlib.Path(folder)
