"""What a command that fails leaves of a folder: the files as they were before it."""
import contextlib
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence

import jax

from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.folder.lock import locked
from transfer_jax.runtime.paths import AnyPath, is_remote, make_folder, remove_folder, store_of

FOLDER, LIST = '.before', 'files.json'  # copies of the files, and which there were: written last, so where it is the copies are whole


@contextlib.contextmanager
def unchanged_on_error(folder: AnyPath, names: Sequence[str], listing: str) -> Iterator[None]:
    """A context in which the files `names` of a folder may be replaced, each as a whole; if it ends by an error, they are as before.

    A folder that has none of them yet keeps what a failed command wrote: the next one goes on from it. Killed, the next such context
    restores them first. Of several processes the first alone does all that.

    listing: one of the names, a list that an error's message may send the user to; a copy of it in TMPDIR then takes its place there.
    """
    if jax.process_index() > 0:
        yield
        return
    restore(folder, names)
    had = [name for name in names if (folder / name).exists()]
    if not had:
        yield
        return
    _keep(folder, had)
    try:
        yield
    except UserError as error:
        message = _with_copy(str(error), folder / listing)
        restore(folder, names)
        raise UserError(message) from error
    except BaseException:
        restore(folder, names)
        raise
    (folder / FOLDER / LIST).unlink()  # from here on the new files hold, whenever this process is killed
    remove_folder(folder / FOLDER)


def undo_killed(folder: AnyPath, names: Sequence[str], *, held: bool) -> None:
    """Restores what a killed command left half done. held: this job has the folder's lock; else nothing is done where another job runs,
    or none can tell. For all processes of a job: the first does it."""
    if jax.process_index() > 0 or not (folder / FOLDER).exists():
        return
    if held:
        restore(folder, names)
    elif not is_remote(folder):
        with contextlib.suppress(UserError), locked(folder):
            restore(folder, names)


def restore(folder: AnyPath, names: Sequence[str] = ()) -> None:
    """Puts back the copies that are there, if they are whole, and removes those of `names` that there were none of."""
    before = folder / FOLDER
    if (before / LIST).exists():
        record = json.loads((before / LIST).read_text())
        for name in record['had']:
            if (before / name).exists():
                _move(before / name, folder / name)
        for name in {*names} - {*record['had']}:
            (folder / name).unlink(missing_ok=True)
    if before.exists():
        remove_folder(before)


def _keep(folder, had):
    before = folder / FOLDER
    make_folder(before)
    for name in had:
        _copy(folder / name, before / name)
    write_atomically(before / LIST, json.dumps({'had': had}).encode())


def _copy(path, copy):
    """The same file under another name: these files are never written to, but replaced."""
    if is_remote(path):
        system, name = store_of(path)
        system.copy(name, store_of(copy)[1])
        return
    try:
        os.link(path, copy)
    except OSError:  # of a file system without links
        shutil.copy2(path, copy)


def _move(path, place):
    if is_remote(path):
        _copy(path, place)
        path.unlink()
    else:
        os.replace(path, place)


def _with_copy(message, path):
    """The message, with the path of a copy in place of a file's path that is in it."""
    if os.fspath(path) not in message or not path.exists():
        return message
    file, copy = tempfile.mkstemp(prefix='tqd-', suffix=f'-{path.name}')
    os.close(file)
    pathlib.Path(copy).write_bytes(path.read_bytes())
    return message.replace(os.fspath(path), copy)
