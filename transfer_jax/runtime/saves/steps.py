"""The folders of a run's checkpoints, one a step: which are whole, what is too old, and what their errors say."""
import contextlib
import os
import pathlib
import re
import tempfile

import jax

from transfer_jax.runtime.errors import UserError, system_reason
from transfer_jax.runtime.paths import AnyPath, is_remote, make_folder, path_of, remove_folder, summary

TEMPORARY = '.orbax-checkpoint-tmp'
DELETED = '.deleted'
COMMITTED = 'commit_success.txt'  # of orbax: the last file of a checkpoint in an object store


class Steps:
    """The folder of a run's checkpoints; each is a folder named by the number of its step."""
    last_file = COMMITTED

    def __init__(self, directory: str | AnyPath, keep: int = 2):
        """Keeps the last `keep` (>= 1) checkpoints in the directory; the first save makes it."""
        self.directory = path_of(directory) if is_remote(directory) else pathlib.Path(directory).absolute()
        self.keep = keep

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, ascending."""
        return sorted(int(path.name) for path in self._folders() if path.name.isdecimal() and self._is_whole(path))

    def latest(self) -> int | None:
        """The last step that has a checkpoint, or None."""
        return max(self.steps(), default=None)

    def _folders(self):
        """What is in the directory; nothing where it is not there."""
        try:
            return list(self.directory.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _is_whole(self, path):
        """Whether a folder named by a number is a checkpoint; in an object store its last file says so, elsewhere its name."""
        return not is_remote(path) or (path / self.last_file).exists()

    def _is_first(self):
        """Whether this process removes what is too old."""
        return jax.process_index() == 0

    def _prepare(self):
        """Raises OSError here where the folder cannot be written: within orbax, threads would wait for it until they time out."""
        make_folder(self.directory)
        if not is_remote(self.directory):
            tempfile.TemporaryFile(dir=self.directory).close()
        self._remove_leftovers()

    def _drop(self, steps):
        """A folder half deleted must not pass for a checkpoint, so its name, or the file that says it is one, goes first."""
        if self._is_first():
            for step in steps:
                if is_remote(self.directory):
                    (self.directory / str(step) / self.last_file).unlink()
                else:
                    (self.directory / str(step)).rename(self.directory / f'{step}{DELETED}')
            self._remove_leftovers()

    def _remove_leftovers(self):
        if self._is_first():
            for path in self._folders():
                if path.name.endswith((TEMPORARY, DELETED)) or (is_remote(path) and path.name.isdecimal() and not self._is_whole(path)):
                    remove_folder(path)

    @contextlib.contextmanager
    def _explained(self, step):
        """A context in which an error of the operating system becomes a UserError about the checkpoint of a step."""
        try:
            yield
        except (OSError, ValueError) as error:
            reason = summary(error) if is_remote(self.directory) else system_reason(error)
            if reason is None:
                raise
            self._remove_leftovers()
            before = f'the checkpoint of step {self.latest()} is intact' if self.steps() else 'there is no earlier checkpoint'
            raise UserError(f'cannot write the checkpoint of step {step} to {self.directory}: {reason}; free space there or make it '
                            f'writable and start again: {before}') from error

    @contextlib.contextmanager
    def _readable(self, step):
        """A context in which an error of reading becomes a UserError about the checkpoint of a step."""
        try:
            yield
        except Exception as error:
            if not isinstance(error, OSError | ValueError | KeyError) and type(error) is not Exception:  # orbax raises the bare class
                raise
            if step not in self.steps():
                raise UserError(f'the checkpoint {self.directory / str(step)} is not there any more: a run that is under way removes old '
                                'ones; the same command reads its newest') from error
            reason = re.split(r'\. |\n', str(error))[0][:200]
            how = 'to go on from the one before' if min(self.steps()) < step else 'and the run begins anew: there is no earlier one'
            raise UserError(f'the checkpoint {self.directory / str(step)} cannot be read ({reason}); remove that folder {how}') from error


def is_copied(path: str | AnyPath) -> bool:
    """Whether orbax cannot write to a path, so that checkpoints are made on the local disk and copied, by one process alone."""
    return is_remote(path) and not os.fspath(path).startswith('gs://')
