"""Checkpoints of one process alone, as .npz files: orbax would wait for the other processes of the job."""
import json

import jax
import numpy as np

from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.paths import is_remote, local_copy, make_folder, remove_folder
from transfer_jax.runtime.saves.checkpoint import Checkpoints
from transfer_jax.runtime.saves.steps import TEMPORARY
from transfer_jax.runtime.tensors import save_weights

STATE, EXTRAS = 'state.npz', 'extras.json'


class LocalCheckpoints(Checkpoints):
    """Checkpoints whose arrays this process alone has and writes; else the same."""
    last_file = EXTRAS

    def _is_whole(self, path):
        """Whether a folder has a checkpoint of this kind."""
        return (path / EXTRAS).exists()

    def _write(self, path, leaves, extras):
        part = path if is_remote(path) else path.with_name(f'{path.name}{TEMPORARY}')
        make_folder(part)
        save_weights(part / STATE, leaves)
        write_atomically(part / EXTRAS, json.dumps(extras).encode())  # last: where it is, the checkpoint is whole
        if part != path:
            remove_folder(path)  # of another kind
            part.rename(path)
        return lambda: None  # all is on disk

    def _read(self, path, expected):
        with local_copy(path / STATE) as local, np.load(local, allow_pickle=False) as file:
            arrays = {name: file[name] for name in expected}
        return {name: _placed(arrays[name].view(leaf.dtype), getattr(leaf, 'sharding', None)) for name, leaf in expected.items()}

    def _describe(self, path):
        extras = json.loads((path / EXTRAS).read_text())
        with local_copy(path / STATE) as local, np.load(local, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}, extras

    def _is_first(self):
        return True


def _placed(array, sharding):
    return jax.device_put(array) if sharding is None else jax.device_put(array, sharding)
