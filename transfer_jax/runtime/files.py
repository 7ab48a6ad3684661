"""Files that are whole or not there at all, whenever the process dies."""
import contextlib
import os


def write_atomically(path, data):
    """Writes bytes to a pathlib.Path: all or nothing, whenever the process dies. Raises OSError with the path, for a full disk too."""
    part = path.with_name(f'.{path.name}.part')  # the same each time: what a killed process left is written over
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with contextlib.suppress(OSError):  # or it would take the place of what went wrong
            part.unlink(missing_ok=True)
