"""Store: named results of a run, each whole or not there at all, so that a program started again does only what is missing."""
import json
import os
import pathlib
import shutil

from transfer_jax.runtime.checkpoint import Checkpoints
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.tensors import load_weights, save_weights


class Store:
    """A folder of results; each is a tree of arrays (NAME.npz) and a record of plain values (NAME.json, written last)."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)

    def record(self, name):
        """The record of a finished result, or None."""
        path = self.directory / f'{name}.json'
        if not path.exists():
            return None
        try:
            return json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise UserError(f'{path} cannot be read ({error}); remove it; the next run makes it again') from None

    def load(self, name, abstract):
        """The arrays of a finished result, as numpy arrays in the shape of `abstract`. Raises UserError where they do not fit."""
        return load_weights(self.directory / f'{name}.npz', abstract)

    def save(self, name, tree, record):
        """Saves a result and deletes its checkpoints. Arrays are written first, so a record implies complete arrays."""
        path = self.directory / f'{name}.json'
        path.parent.mkdir(parents=True, exist_ok=True)
        if tree is not None:
            save_weights(self.directory / f'{name}.npz', tree)
        temporary = path.with_suffix('.tmp')
        temporary.write_text(json.dumps(record))
        os.replace(temporary, path)
        shutil.rmtree(self.checkpoints(name).directory, ignore_errors=True)

    def checkpoints(self, name):
        """The Checkpoints of a result that is not finished."""
        return Checkpoints(self.directory / f'{name}.unfinished', keep=1)
