"""Checkpoints of a run, over orbax: a checkpoint is whole or absent."""
import contextlib
import logging
import os
import pathlib
import re
import tempfile
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp

from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.files import local_folder, upload_folder, write_atomically
from transfer_jax.runtime.paths import AnyPath, is_remote, make_folder, path_of, remove_folder, summary
from transfer_jax.runtime.tensors import check_same, named_leaves

TEMPORARY = '.orbax-checkpoint-tmp'
DELETED = '.deleted'
COMMITTED = 'commit_success.txt'  # of orbax: the last file of a checkpoint in an object store
PARTIAL = ocp.options.PyTreeOptions(loading=ocp.options.PyTreeOptions.Loading(partial_load=True))


class Checkpoints:
    """The checkpoints of one run: one folder a step, named by its number.

    A folder gets its name by a rename after its last byte, and in an object store its last file after all others, so a process killed at
    any moment leaves only whole checkpoints. Leaves are
    stored bit for bit by name (their path in the tree): other devices can restore them, and a different tree is an error. Of several
    processes each calls every method, and writes what its devices have.
    """
    last_file = COMMITTED

    def __init__(self, directory: str | AnyPath, keep: int = 2):
        """Keeps the last `keep` (>= 1) checkpoints in the directory; the first save makes it."""
        self.directory = path_of(directory) if is_remote(directory) else pathlib.Path(directory).absolute()
        self.keep = keep
        logging.getLogger('absl').addFilter(_not_from_orbax)

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, ascending."""
        return sorted(int(path.name) for path in self._folders() if path.name.isdecimal() and self._is_whole(path))

    def latest(self) -> int | None:
        """The last step that has a checkpoint, or None."""
        return max(self.steps(), default=None)

    def save(self, step: int, state: Any, extras: dict[str, Any]) -> None:
        """Writes a checkpoint and drops the oldest beyond `keep`; blocks until it is on disk. A step that has one keeps it.

        Args:
          step: the number of steps so far.
          state: any pytree of non-empty jax arrays.
          extras: JSON-able dict (iterator, normaliser, config, ...).

        Raises:
          UserError: the folder cannot be written or its disk is full; earlier checkpoints are untouched.
        """
        if step in self.steps():
            return
        try:
            self._prepare()
            self._write(self.directory / str(step), named_leaves(state), extras)
        except (OSError, ValueError) as error:
            reason = summary(error) if is_remote(self.directory) else _system_reason(error)
            if reason is None:
                raise
            self._remove_leftovers()
            before = f'the checkpoint of step {self.latest()} is intact' if self.steps() else 'there is no earlier checkpoint'
            raise UserError(f'cannot write the checkpoint of step {step} to {self.directory}: {reason}; free space there or make it '
                            f'writable and start again: {before}') from error
        self._drop(self.steps()[:-self.keep])

    def restore(self, step: int, abstract: Any) -> Any:
        """The state saved at a step.

        Args:
          step: one of steps().
          abstract: the state's tree with jax.ShapeDtypeStruct leaves, each with the sharding to restore to, which may differ from the
            one at the save (eight devices may become one).

        Raises:
          UserError: the tree differs from the one saved (another model, optimizer or precision), or the checkpoint is damaged.
        """
        return self._leaves(step, abstract, '')

    def restore_part(self, step: int, name: str, abstract: Any) -> Any:
        """The part state.NAME of the state saved at a step; nothing else is read. abstract: of the part; raises as restore does."""
        return self._leaves(step, abstract, f'{name}/')

    def _leaves(self, step, abstract, prefix):
        """The tree `abstract` of the leaves whose names begin with the prefix."""
        expected = {prefix + name: leaf for name, leaf in named_leaves(abstract).items()}
        stored = {name: leaf for name, leaf in self._described(step)[0].items() if name.startswith(prefix)}
        check_same(stored, expected, f'the checkpoint {self.directory / str(step)}')
        with self._readable(step):
            leaves = self._read(self.directory / str(step), expected)
        return jax.tree.unflatten(jax.tree.structure(abstract), [leaves[name] for name in expected])

    def extras(self, step: int) -> dict[str, Any]:
        """The extras saved with a step."""
        return self._described(step)[1]

    def _described(self, step):
        """({name: shape and dtype of a leaf}, extras) of a checkpoint."""
        with self._readable(step):
            return self._describe(self.directory / str(step))

    def _write(self, path, leaves, extras):
        if not is_copied(path):
            ocp.save(path, leaves, custom_metadata=extras)
            return
        with tempfile.TemporaryDirectory(prefix='tqd-') as folder:
            ocp.save(pathlib.Path(folder, 'state'), leaves, custom_metadata=extras)
            upload_folder(pathlib.Path(folder, 'state'), path)
        write_atomically(path / self.last_file, b'')

    def _read(self, path, expected):
        with _folder_of(path) as folder, ocp.Context(pytree_options=PARTIAL):
            return ocp.load(folder, expected)

    def _describe(self, path):
        with _folder_of(path) as folder:
            metadata = ocp.metadata(folder)
        if metadata.metadata is None:  # orbax logs the reason and raises nothing
            raise ValueError('its index is damaged')
        return metadata.metadata, metadata.custom_metadata

    def _folders(self):
        """What is in the directory; nothing where it is not there."""
        try:
            return list(self.directory.iterdir())
        except FileNotFoundError:
            return []

    def _is_whole(self, path):
        """Whether a folder named by a number is a checkpoint; in an object store its last file says so, elsewhere its name."""
        return not is_remote(path) or (path / self.last_file).exists()

    def _is_first(self):
        """Whether this process removes what is too old."""
        return jax.process_index() == 0

    @contextlib.contextmanager
    def _readable(self, step):
        try:
            yield
        except Exception as error:
            if not isinstance(error, OSError | ValueError | KeyError) and type(error) is not Exception:  # orbax raises the bare class
                raise
            reason = re.split(r'\. |\n', str(error))[0][:200]
            raise UserError(f'the checkpoint {self.directory / str(step)} cannot be read ({reason}); '
                            'remove that folder to go on from the one before') from error

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
                if path.name.endswith((TEMPORARY, DELETED)) or (path.name.isdecimal() and not self._is_whole(path)):
                    remove_folder(path)


def is_copied(path: str | AnyPath) -> bool:
    """Whether orbax cannot write to a path, so that checkpoints are made on the local disk and copied, by one process alone."""
    return is_remote(path) and not os.fspath(path).startswith('gs://')


def _folder_of(path):
    """A context that gives the folder of a checkpoint as orbax reads it."""
    return local_folder(path) if is_copied(path) else contextlib.nullcontext(path)


def _system_reason(error):
    """The operating system's reason, or None for an error of another kind; tensorstore wraps it in a ValueError."""
    if isinstance(error, OSError):
        return error.strerror
    match = re.search(r': ([^:]*?) \[os_error_code', str(error))
    return match and match[1]


def _not_from_orbax(record):
    """False for a record of orbax: it raises the errors that matter, and logs hundreds of lines from each of its threads before."""
    return 'orbax' not in pathlib.Path(record.pathname).parts
