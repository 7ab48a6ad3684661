"""Checkpoints of a run, over orbax: a checkpoint is whole or absent."""
import concurrent.futures
import contextlib
import functools
import json
import logging
import os
import pathlib
import re
import tempfile
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp

from transfer_jax.runtime.errors import UserError, system_reason
from transfer_jax.runtime.files import local_folder, upload_folder, write_atomically
from transfer_jax.runtime.paths import AnyPath, is_remote, make_folder, path_of, remove_folder, summary
from transfer_jax.runtime.tensors import check_same, named_leaves

TEMPORARY = '.orbax-checkpoint-tmp'
DELETED = '.deleted'
COMMITTED = 'commit_success.txt'  # of orbax: the last file of a checkpoint in an object store
UNCOMPRESSED = ocp.options.ArrayOptions(saving=ocp.options.ArrayOptions.Saving(use_compression=False))
PARTIAL = ocp.options.PyTreeOptions(loading=ocp.options.PyTreeOptions.Loading(partial_load=True))


class Checkpoints:
    """The checkpoints of one run: one folder a step, named by its number.

    A folder gets its name by a rename after its last byte, and in an object store its last file after all others, so a process killed at
    any moment leaves only whole checkpoints. Leaves are
    stored bit for bit by name (their path in the tree): other devices can restore them, and a different tree is an error. Of several
    processes each calls every method, and writes what its devices have. As a context manager it ends when all is on disk:

        with checkpoints:
            ...
            checkpoints.begin(step, state, extras)  # written while the next steps run
    """
    last_file = COMMITTED

    def __init__(self, directory: str | AnyPath, keep: int = 2):
        """Keeps the last `keep` (>= 1) checkpoints in the directory; the first save makes it."""
        self.directory = path_of(directory) if is_remote(directory) else pathlib.Path(directory).absolute()
        self.keep = keep
        self._step, self._pending = None, None  # what is being written
        logging.getLogger('absl').addFilter(_not_from_orbax)

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, ascending."""
        return sorted(int(path.name) for path in self._folders() if path.name.isdecimal() and self._is_whole(path))

    def latest(self) -> int | None:
        """The last step that has a checkpoint, or None."""
        return max(self.steps(), default=None)

    def save(self, step: int, state: Any, extras: dict[str, Any]) -> None:
        """Writes a checkpoint as `begin` does, and returns when it is on disk. Raises UserError as `finish` does."""
        self.begin(step, state, extras)
        self.finish()

    def begin(self, step: int, state: Any, extras: dict[str, Any]) -> None:
        """Begins to write a checkpoint; returns when its arrays are copied to the host, so that the next step may take their memory.

        The rest happens in threads, which use no device: one checkpoint at a time, so this waits for the one before. When the new one is
        whole, the oldest beyond `keep` are dropped. A step that has a checkpoint keeps it.

        Args:
          step: the number of steps so far.
          state: any pytree of non-empty jax arrays.
          extras: JSON-able dict (iterator, normaliser, config, ...).

        Raises:
          UserError: the folder cannot be written or its disk is full, of this checkpoint or of the one before; whole ones are untouched.
        """
        self.finish()
        if step in self.steps():
            return
        with self._explained(step):
            self._prepare()
            wait = self._write(self.directory / str(step), named_leaves(state), extras)
        thread = concurrent.futures.ThreadPoolExecutor(1, 'checkpoint')
        self._step, self._pending = step, thread.submit(self._complete, wait)
        thread.shutdown(wait=False)

    def finish(self) -> None:
        """Returns when what `begin` began is on disk. Raises UserError: it could not be written; earlier checkpoints are untouched."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            with self._explained(self._step):
                pending.result()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error is None:
            self.finish()
        elif isinstance(error, Exception):  # which is what the user should read; a second Ctrl-C waits for nothing
            with contextlib.suppress(Exception):
                self.finish()

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

    def require(self, step: int, abstract: Any) -> None:
        """Raises UserError where the state saved at a step is no tree like `abstract`, as restore does; no array is read."""
        path = self.directory / str(step)
        with self._readable(step), _folder_of(path) as folder:
            check_same(self._describe(folder)[0], named_leaves(abstract), f'the checkpoint {path}')

    def restore_part(self, step: int, name: str, abstract: Any) -> Any:
        """The part state.NAME of the state saved at a step; nothing else is read. abstract: of the part; raises as restore does."""
        return self._leaves(step, abstract, f'{name}/')

    def _leaves(self, step, abstract, prefix):
        """The tree `abstract` of the leaves whose names begin with the prefix."""
        expected = {prefix + name: leaf for name, leaf in named_leaves(abstract).items()}
        with self._readable(step), _folder_of(self.directory / str(step)) as folder:
            stored = {name: leaf for name, leaf in self._describe(folder)[0].items() if name.startswith(prefix)}
            check_same(stored, expected, f'the checkpoint {self.directory / str(step)}')
            leaves = self._read(folder, expected)
        return jax.tree.unflatten(jax.tree.structure(abstract), [leaves[name] for name in expected])

    def extras(self, step: int) -> dict[str, Any]:
        """The extras saved with a step."""
        path = self.directory / str(step)
        with self._readable(step):
            if is_copied(path):  # its last file has them: nothing else comes over the network
                return json.loads((path / self.last_file).read_text())
            return self._describe(path)[1]

    def _write(self, path, leaves, extras):
        """Begins to write the leaves; returns the function that waits for the end."""
        copied = is_copied(path)
        temporary = tempfile.TemporaryDirectory(prefix='tqd-') if copied else None
        with ocp.Context(array_options=UNCOMPRESSED):
            wait = ocp.save_async(pathlib.Path(temporary.name, 'state') if copied else path, leaves, custom_metadata=extras).result
        return functools.partial(self._copy, wait, temporary, path, extras) if copied else wait

    def _copy(self, wait, temporary, path, extras):
        """Brings a checkpoint of the local disk to an object store, once it is whole."""
        with temporary as folder:
            wait()
            upload_folder(pathlib.Path(folder, 'state'), path)
        write_atomically(path / self.last_file, json.dumps(extras).encode())

    def _complete(self, wait):
        wait()
        self._drop(self.steps()[:-self.keep])

    def _read(self, path, expected):
        with ocp.Context(pytree_options=PARTIAL):
            return ocp.load(path, expected)

    def _describe(self, path):
        """({name: shape and dtype of a leaf}, extras) of a checkpoint."""
        metadata = ocp.metadata(path)
        if metadata.metadata is None:  # orbax logs the reason and raises nothing
            raise ValueError('its index is damaged')
        return metadata.metadata, metadata.custom_metadata

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
        try:
            yield
        except Exception as error:
            if not isinstance(error, OSError | ValueError | KeyError) and type(error) is not Exception:  # orbax raises the bare class
                raise
            if step not in self.steps():
                raise UserError(f'the checkpoint {self.directory / str(step)} is not there any more: a run that is under way removes old '
                                'ones; the same command reads its newest') from error
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
                if path.name.endswith((TEMPORARY, DELETED)) or (is_remote(path) and path.name.isdecimal() and not self._is_whole(path)):
                    remove_folder(path)


def is_copied(path: str | AnyPath) -> bool:
    """Whether orbax cannot write to a path, so that checkpoints are made on the local disk and copied, by one process alone."""
    return is_remote(path) and not os.fspath(path).startswith('gs://')


def _folder_of(path):
    """A context that gives the folder of a checkpoint as orbax reads it."""
    return local_folder(path) if is_copied(path) else contextlib.nullcontext(path)


def _not_from_orbax(record):
    """False for a record of orbax: it raises the errors that matter, and logs hundreds of lines from each of its threads before."""
    return 'orbax' not in pathlib.Path(record.pathname).parts
