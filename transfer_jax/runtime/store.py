"""Store: named results of a run, each whole or absent, so that a program that starts again computes only those that are missing."""
import json
from typing import Any

from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.paths import AnyPath, make_folder, path_of, remove_folder
from transfer_jax.runtime.saves.local_checkpoint import LocalCheckpoints
from transfer_jax.runtime.tensors import load_weights, save_weights

UNFINISHED = '.unfinished'  # after the name of a result: the folder of its checkpoints


class Store:
    """A folder of results, of one process; each is a tree of arrays (NAME.npz) and a record of plain values (NAME.json, written last)."""

    def __init__(self, directory: str | AnyPath):
        self.directory = path_of(directory)

    def record(self, name: str) -> Any:
        """The record of a finished result, or None."""
        path = self.directory / f'{name}.json'
        if not path.exists():
            return None
        try:
            return json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise UserError(f'{path} cannot be read ({error}); remove it; the next run makes it again') from None

    def has_arrays(self, name: str) -> bool:
        """Whether there are arrays of a result."""
        return (self.directory / f'{name}.npz').exists()

    def load(self, name: str, abstract: Any) -> Any:
        """The arrays of a finished result, as numpy arrays in the tree `abstract`. Raises UserError where they do not fit it."""
        return load_weights(self.directory / f'{name}.npz', abstract)

    def save(self, name: str, tree: Any, record: Any) -> None:
        """Saves a result and deletes its checkpoints. Arrays are written first, so a record implies complete arrays."""
        path = self.directory / f'{name}.json'
        make_folder(path.parent)
        if tree is not None:
            save_weights(self.directory / f'{name}.npz', tree)
        write_atomically(path, json.dumps(record).encode())
        self.drop_checkpoints(name)

    def names(self) -> list[str]:
        """The names of the finished results that are not in folders of their own, sorted."""
        return self._ending('.json')

    def unfinished(self) -> list[str]:
        """The names of the results that have checkpoints, sorted."""
        return self._ending(UNFINISHED)

    def _ending(self, end):
        paths = self.directory.iterdir() if self.directory.exists() else ()
        return sorted(path.name.removesuffix(end) for path in paths if path.name.endswith(end))

    def drop_checkpoints(self, name: str) -> None:
        """Deletes the checkpoints of a result."""
        remove_folder(self.checkpoints(name).directory)

    def checkpoints(self, name: str) -> LocalCheckpoints:
        """The LocalCheckpoints of a result that is not finished."""
        return LocalCheckpoints(self.directory / f'{name}{UNFINISHED}', keep=1)
