"""Two runs in one folder: the second is refused in one line; a run that was killed leaves no lock behind."""
import contextlib
import fcntl
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.folder import lock
from transfer_jax.runtime.job import run_mode

HOLDER = 'import sys, pathlib, time\nfrom transfer_jax.runtime.folder.lock import locked\n' \
         'with locked(pathlib.Path(sys.argv[1])):\n    print("held", flush=True)\n    time.sleep(600)'


@contextlib.contextmanager
def holder(folder):
    """A process that holds the lock of a folder."""
    root = pathlib.Path(__file__).parents[4]
    process = subprocess.Popen([sys.executable, '-c', HOLDER, str(folder)], cwd=root, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == 'held\n'
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_second_run_is_refused_while_the_first_lives_and_not_after_it_was_killed(tmp_path):
    with holder(tmp_path) as process:
        before = (tmp_path / lock.FILE).read_bytes()
        with pytest.raises(UserError, match=rf'is in use by another run \(process {process.pid} on .*\)') as caught:
            run_mode({'train': lambda config, folder: pytest.fail('it ran')}, 'train', None, tmp_path)
        assert '\n' not in str(caught.value) and (tmp_path / lock.FILE).read_bytes() == before
        beside = []
        run_mode({'eval': lambda config, folder: beside.append(folder)}, 'eval', None, tmp_path, alone=False)
        assert beside == [tmp_path]
        process.send_signal(signal.SIGKILL)
        process.wait()
    ran = []
    run_mode({'train': lambda config, folder: ran.append(sorted(path.name for path in folder.iterdir()))}, 'train', None, tmp_path)
    assert ran == [[lock.FILE]] and not list(tmp_path.iterdir())


def test_the_lock_ends_with_an_error_too(tmp_path):
    for _ in range(2):
        with pytest.raises(KeyError), lock.locked(tmp_path):
            with pytest.raises(UserError, match='is in use'), lock.locked(tmp_path):
                pass
            raise KeyError
    assert not list(tmp_path.iterdir())


def test_a_file_that_its_holder_removes_meanwhile_is_no_lock(tmp_path, monkeypatch):
    flock, first = fcntl.flock, []

    def late(file, how):
        flock(file, how)
        if not first:
            first.append((tmp_path / lock.FILE).unlink())

    monkeypatch.setattr(lock.fcntl, 'flock', late)
    with lock.locked(tmp_path), pytest.raises(UserError, match='is in use'), lock.locked(tmp_path):
        pass


def test_a_disk_without_locks_is_not_guarded(tmp_path, monkeypatch):
    def none(file, how):
        raise OSError(lock.NO_LOCKS[0], os.strerror(lock.NO_LOCKS[0]))

    monkeypatch.setattr(lock.fcntl, 'flock', none)
    with lock.locked(tmp_path), lock.locked(tmp_path):
        pass
