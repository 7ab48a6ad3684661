"""Checkpoints of one process alone, as .npz files: orbax would wait for the other processes of the job."""
import json
import shutil

import jax
import numpy as np

from transfer_jax.runtime.checkpoint import TEMPORARY, Checkpoints
from transfer_jax.runtime.tensors import save_weights

STATE, EXTRAS = 'state.npz', 'extras.json'


class LocalCheckpoints(Checkpoints):
    """Checkpoints whose arrays this process alone has and writes; else the same."""

    def steps(self):
        """The steps that have a checkpoint of this kind, ascending."""
        return [step for step in super().steps() if (self.directory / str(step) / EXTRAS).exists()]

    def _write(self, path, leaves, extras):
        part = path.with_name(f'{path.name}{TEMPORARY}')
        part.mkdir()
        save_weights(part / STATE, leaves)
        (part / EXTRAS).write_text(json.dumps(extras))
        shutil.rmtree(path, ignore_errors=True)  # of another kind
        part.rename(path)
        return lambda: None  # all is on disk

    def _read(self, path, expected):
        with np.load(path / STATE, allow_pickle=False) as file:
            arrays = {name: file[name] for name in expected}
        return {name: _placed(arrays[name].view(leaf.dtype), getattr(leaf, 'sharding', None)) for name, leaf in expected.items()}

    def _describe(self, path):
        extras = json.loads((path / EXTRAS).read_text())
        with np.load(path / STATE, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}, extras

    def _is_first(self):
        return True


def _placed(array, sharding):
    return jax.device_put(array) if sharding is None else jax.device_put(array, sharding)
