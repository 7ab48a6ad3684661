"""Makes a checkpoint of the package from a finished run: half-precision weights, with their config and log beside them.

    python -m tqd_jax.models.publish runs/pretrain_pixels tiny
"""
import pathlib
import shutil
import sys

import numpy as np

from transfer_jax.runtime.tensors import save_weights

ASSETS = pathlib.Path(__file__).parents[1] / 'assets'


def publish(workdir, name):
    """Writes NAME.npz (float16), NAME.json (config) and NAME.jsonl (metrics) to the package's assets."""
    with np.load(pathlib.Path(workdir, 'weights.npz')) as file:
        save_weights(ASSETS / f'{name}.npz', dict(file), dtype=np.float16)
    shutil.copy(pathlib.Path(workdir, 'config.json'), ASSETS / f'{name}.json')
    shutil.copy(pathlib.Path(workdir, 'metrics.jsonl'), ASSETS / f'{name}.jsonl')


if __name__ == '__main__':
    publish(*sys.argv[1:])
