"""Store: named results of a run, each whole or not there at all, so that a program started again does only what is missing."""
import json
import os
import pathlib
import shutil

from transfer_jax.runtime.checkpoint import Checkpoints, load_weights, save_weights
from transfer_jax.runtime.errors import UserError


class Store:
    """A folder of results; each is a tree of arrays (NAME.npz) and a record of plain values (NAME.json, written last)."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)

    def record(self, name):
        """The record of a result that is done, or None."""
        path = self.directory / f'{name}.json'
        if not path.exists():
            return None
        try:
            return json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise UserError(f'{path} cannot be read ({error}); remove it, and it is made again') from None

    def load(self, name, abstract):
        """The arrays of a result that is done, as numpy arrays in the shape of `abstract`. Raises UserError where they do not fit."""
        return load_weights(self.directory / f'{name}.npz', abstract)

    def save(self, name, tree, record):
        """Keeps a result, and drops its checkpoints. Arrays go first: a record vouches for them."""
        path = self.directory / f'{name}.json'
        path.parent.mkdir(parents=True, exist_ok=True)
        if tree is not None:
            save_weights(self.directory / f'{name}.npz', tree)
        temporary = path.with_suffix('.tmp')
        temporary.write_text(json.dumps(record))
        os.replace(temporary, path)
        shutil.rmtree(self.checkpoints(name).directory, ignore_errors=True)

    def checkpoints(self, name):
        """The Checkpoints of a result that is still being made."""
        return Checkpoints(self.directory / f'{name}.unfinished', keep=1)
