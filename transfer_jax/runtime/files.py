"""Files that are whole or absent, even if the process dies while it writes them."""
import contextlib
import os
import pathlib


def write_atomically(path: pathlib.Path, data: bytes) -> None:
    """Writes the file, all or nothing. Raises OSError with the path, for a full disk too."""
    part = path.with_name(f'.{path.name}.part')  # the same name each time, so that a part from a killed process is overwritten
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with contextlib.suppress(OSError):  # its error must not replace the first one
            part.unlink(missing_ok=True)
