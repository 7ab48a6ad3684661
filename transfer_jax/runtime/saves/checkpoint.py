"""Checkpoints of a run, over orbax: a checkpoint is whole or absent."""
import concurrent.futures
import contextlib
import functools
import json
import logging
import pathlib
import sys
import tempfile
import warnings
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp

from transfer_jax.runtime.files import local_folder, upload_folder, write_atomically
from transfer_jax.runtime.paths import AnyPath
from transfer_jax.runtime.saves.steps import Steps, is_copied
from transfer_jax.runtime.tensors import check_same, named_leaves

UNCOMPRESSED = ocp.options.ArrayOptions(saving=ocp.options.ArrayOptions.Saving(use_compression=False))
READ = '_read_array_index_and_device_put'  # orbax's coroutine that reads one array
LEFT = ('exception was never retrieved', 'was destroyed but it is pending', 'Exception in callback')  # asyncio's words of what is left
PARTIAL = ocp.options.PyTreeOptions(loading=ocp.options.PyTreeOptions.Loading(partial_load=True))


class Checkpoints(Steps):
    """The checkpoints of one run: one folder a step, named by its number.

    A folder gets its name by a rename after its last byte, and in an object store its last file after all others, so a process killed at
    any moment leaves only whole checkpoints. Leaves are stored bit for bit by name (their path in the tree): other devices can restore
    them, and a different tree is an error. Of several processes each calls every method, and writes what its devices have. As a context
    manager it ends when all is on disk:

        with checkpoints:
            ...
            checkpoints.begin(step, state, extras)  # written while the next steps run
    """

    def __init__(self, directory: str | AnyPath, keep: int = 2):
        """Keeps the last `keep` (>= 1) checkpoints in the directory; the first save makes it."""
        super().__init__(directory, keep)
        self._step, self._pending = None, None  # what is being written
        logging.getLogger('absl').addFilter(_not_from_orbax)

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
        with _reads_beside_an_error_untold(), ocp.Context(pytree_options=PARTIAL):
            return ocp.load(path, expected)

    def _describe(self, path):
        """({name: shape and dtype of a leaf}, extras) of a checkpoint."""
        with _reads_beside_an_error_untold():
            metadata = ocp.metadata(path)
        if metadata.metadata is None:  # orbax logs the reason and raises nothing
            raise ValueError('its index is damaged')
        return metadata.metadata, metadata.custom_metadata


def _folder_of(path):
    """A context that gives the folder of a checkpoint as orbax reads it."""
    return local_folder(path) if is_copied(path) else contextlib.nullcontext(path)


@contextlib.contextmanager
def _reads_beside_an_error_untold():
    """Lets Python say nothing of the reads beside one that failed, which orbax leaves: each is told when it ends and finds its event loop
    closed, or when it is collected. Python tells it in three ways: the hook of errors that nobody can catch, the log of asyncio, and
    warnings. After an error all three stay without it, since a read may end at any time; without an error they are as before."""
    hook, log = sys.unraisablehook, logging.getLogger('asyncio')
    sys.unraisablehook = lambda told: None if READ in repr(told.object) or 'loop is closed' in str(told.exc_value) else hook(told)
    log.addFilter(_not_left)
    try:
        yield
    except Exception:
        warnings.filterwarnings('ignore', "coroutine '.*' was never awaited", RuntimeWarning)
        raise
    sys.unraisablehook = hook
    log.removeFilter(_not_left)


def _not_left(record):
    """False for asyncio's record of a task or future that nobody awaits."""
    return not any(text in record.getMessage() for text in LEFT)


def _not_from_orbax(record):
    """False for a record of orbax: it raises the errors that matter, and logs hundreds of lines from each of its threads before."""
    return 'orbax' not in pathlib.Path(record.pathname).parts
