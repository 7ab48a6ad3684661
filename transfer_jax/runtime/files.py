"""Files that are whole or absent, even if the process dies while it writes them."""
import contextlib
import os
import pathlib
import uuid
from collections.abc import Callable
from typing import Any


def write_atomically(path: pathlib.Path, data: bytes) -> None:
    """Writes the file, all or nothing. Raises OSError with the path, for a full disk too."""
    replace_atomically(path, lambda part: part.write_bytes(data))


def replace_atomically(path: pathlib.Path, write: Callable[[pathlib.Path], Any], *, concurrent: bool = False) -> Any:
    """What write(part) returns, which writes the file's content to the path `part`; then the file is replaced, all or nothing.

    concurrent: another process may write the same file at this time. Raises OSError with the path, for a full disk too.
    """
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
