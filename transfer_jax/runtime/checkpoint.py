"""Checkpoints of a run, over orbax: a checkpoint is whole or absent."""
import concurrent.futures
import contextlib
import logging
import pathlib
import re
import shutil
import tempfile
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp

from transfer_jax.runtime.errors import UserError, system_reason
from transfer_jax.runtime.tensors import check_same, named_leaves

TEMPORARY = '.orbax-checkpoint-tmp'
DELETED = '.deleted'
UNCOMPRESSED = ocp.options.ArrayOptions(saving=ocp.options.ArrayOptions.Saving(use_compression=False))
PARTIAL = ocp.options.PyTreeOptions(loading=ocp.options.PyTreeOptions.Loading(partial_load=True))


class Checkpoints:
    """The checkpoints of one run: one folder a step, named by its number.

    A folder gets its name by a rename after its last byte, so a process killed at any moment leaves only whole checkpoints. Leaves are
    stored bit for bit by name (their path in the tree): other devices can restore them, and a different tree is an error. Of several
    processes each calls every method, and writes what its devices have. As a context manager it ends when all is on disk:

        with checkpoints:
            ...
            checkpoints.begin(step, state, extras)  # written while the next steps run
    """

    def __init__(self, directory: str | pathlib.Path, keep: int = 2):
        """Keeps the last `keep` (>= 1) checkpoints in the directory; the first save makes it."""
        self.directory = pathlib.Path(directory).absolute()
        self.keep = keep
        self._step, self._pending = None, None  # what is being written
        logging.getLogger('absl').addFilter(_not_from_orbax)

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, ascending."""
        if not self.directory.is_dir():
            return []
        return sorted(int(path.name) for path in self.directory.iterdir() if path.name.isdecimal())

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
        """Begins to write the leaves; returns the function that waits for the end."""
        with ocp.Context(array_options=UNCOMPRESSED):
            return ocp.save_async(path, leaves, custom_metadata=extras).result

    def _complete(self, wait):
        wait()
        self._drop(self.steps()[:-self.keep])

    def _read(self, path, expected):
        with ocp.Context(pytree_options=PARTIAL):
            return ocp.load(path, expected)

    def _describe(self, path):
        metadata = ocp.metadata(path)
        if metadata.metadata is None:  # orbax logs the reason and raises nothing
            raise ValueError('its index is damaged')
        return metadata.metadata, metadata.custom_metadata

    def _is_first(self):
        """Whether this process removes what is too old."""
        return jax.process_index() == 0

    @contextlib.contextmanager
    def _explained(self, step):
        """A context in which an error of the operating system becomes a UserError about the checkpoint of a step."""
        try:
            yield
        except (OSError, ValueError) as error:
            reason = system_reason(error)
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
            reason = re.split(r'\. |\n', str(error))[0][:200]
            raise UserError(f'the checkpoint {self.directory / str(step)} cannot be read ({reason}); '
                            'remove that folder to go on from the one before') from error

    def _prepare(self):
        """Raises OSError here where the folder cannot be written: within orbax, threads would wait for it until they time out."""
        self.directory.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=self.directory).close()
        self._remove_leftovers()

    def _drop(self, steps):
        """Renames first: a folder half deleted must not pass for a checkpoint."""
        if self._is_first():
            for step in steps:
                (self.directory / str(step)).rename(self.directory / f'{step}{DELETED}')
            self._remove_leftovers()

    def _remove_leftovers(self):
        if self._is_first() and self.directory.is_dir():
            for path in self.directory.iterdir():
                if path.name.endswith((TEMPORARY, DELETED)):
                    shutil.rmtree(path, ignore_errors=True)


def _not_from_orbax(record):
    """False for a record of orbax: it raises the errors that matter, and logs hundreds of lines from each of its threads before."""
    return 'orbax' not in pathlib.Path(record.pathname).parts
