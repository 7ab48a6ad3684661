"""One run in a folder at a time: a second start is refused while the first is under way, and a killed one leaves nothing behind."""
import contextlib
import datetime
import errno
import fcntl
import os
import socket
from collections.abc import Iterator

from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.hosts import first_host
from transfer_jax.runtime.paths import AnyPath, is_remote

FILE = '.lock'
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)  # of file systems without locks


@contextlib.contextmanager
def alone_in(folder: AnyPath) -> Iterator[None]:
    """A context in which no other job may run in the folder, which is there. The first of several processes holds it for all of its job.

    The kernel ends the lock with the process that holds it (flock). A folder in an object store, or on a disk without locks, is not
    guarded.

    Raises:
      UserError: another job runs there.
    """
    with contextlib.ExitStack() as held:
        first_host(_hold, held, folder)
        yield


def _hold(held, folder):
    if not is_remote(folder):
        held.enter_context(locked(folder))


@contextlib.contextmanager
def locked(folder: AnyPath) -> Iterator[None]:
    """A context that holds the lock of a local folder, for this process alone. Raises UserError where another has it."""
    with contextlib.closing(_File(folder / FILE)) as file:
        if not file.take():
            raise UserError(f'{folder} is in use by another run ({file.holder()}): wait for it or stop it, or name another --workdir')
        try:
            yield
        finally:
            file.leave()


class _File:
    """The file that is locked. It is removed while it is held, so that it never says who held it once."""

    def __init__(self, path):
        self._path, self._file = path, -1

    def take(self):
        """Whether this process has the lock now, or the file system knows none."""
        while True:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise
                return True
            if self._is_there():
                os.truncate(self._file, 0)
                os.write(self._file, _who().encode())
                return True
            os.close(self._file)  # the one before removed it meanwhile

    def holder(self):
        """What the holder wrote about itself."""
        return os.pread(self._file, 200, 0).decode(errors='replace') or 'it has just begun'

    def leave(self):
        """Removes the file; to close it ends the lock."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    def close(self):
        """Ends the lock."""
        if self._file >= 0:
            os.close(self._file)

    def _is_there(self):
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(self._file), os.stat(self._path))
        return False


def _who():
    now = datetime.datetime.now(datetime.UTC)
    return f'process {os.getpid()} on {socket.gethostname()} since {now:%Y-%m-%d %H:%M} UTC'
