"""The shipped transfer config shrunk to runs of seconds, in this process or as programs of their own, and small data to run it on."""
import json
import warnings
from unittest import mock

import cv2
import jax
import numpy as np
import small
from absl.testing import flagsaver

from transfer_jax import main
from transfer_jax.experiment.config import schema_of
from transfer_jax.runtime.app import parse
from transfer_jax.runtime.parallel.mesh import make_mesh
from transfer_jax.runtime.paths import path_of

SMALL = {'seeds': 2, 'data.shots': 2, 'data.validation': 2, 'train.batch': 8, 'train.min_steps': 8, 'train.epochs': 0.5,
         'train.segment': 4, 'train.learning_rate': 0.05, 'transfer.decisions': 2, 'transfer.folds': 2}


def command_line(workdir, **changes):
    """The flags of a small run; changes: {'train.batch': 16, ...}."""
    return [f'--config={small.ROOT / "configs/transfer.py"}', f'--workdir={workdir}',
            *(f'--config.{key}={value}' for key, value in {**SMALL, **changes}.items())]


def run(workdir, devices=1, **changes):
    """The job as its command line asks for it, in this process and on so many devices; returns its results."""
    small_mesh = lambda data, fsdp, **_: make_mesh(data, fsdp, devices=jax.devices()[:devices])
    mesh = mock.patch('transfer_jax.experiment.job.make_mesh', small_mesh)
    with flagsaver.flagsaver(), mesh, warnings.catch_warnings():
        warnings.filterwarnings('ignore', 'the load_module', DeprecationWarning)  # how ml_collections reads a config file
        main.main(parse(['main', *command_line(workdir, **changes)], schema_of), workdir)
    return results(workdir)


def results(workdir):
    """results.json."""
    return json.loads((path_of(workdir) / 'results.json').read_text())


class Program(small.Program):
    """python -m transfer_jax.main as a process of its own, on one device."""

    def __init__(self):
        super().__init__(signalled={})

    def command_line(self, workdir, **changes):
        """The module and its flags."""
        return ['transfer_jax.main', *command_line(workdir, **changes)]


def table(names='abc', each=12, features=4, classes=2, seed=0):
    """{x, y, d} of domains whose classes lie around means that differ a little from domain to domain."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(classes, features))
    y = np.tile(np.arange(classes), each * len(names) // classes)
    d = np.repeat(list(names), each)
    shift = {name: 0.3 * rng.normal(size=means.shape) for name in names}
    x = np.stack([means[label] + shift[name][label] for label, name in zip(y, d, strict=True)])
    return {'x': (x + 0.5 * rng.normal(size=x.shape)).astype(np.float32), 'y': y, 'd': d}


def picture(rng, kind, size=24):
    """uint8 BGR: a smooth texture, brighter at the top or at the left."""
    light = np.linspace(0, 120, size)[:, None] if kind else np.linspace(0, 120, size)[None]
    return np.clip(cv2.resize(rng.integers(0, 120, (3, 3, 3), dtype=np.uint8), (size, size)) + light[..., None], 0, 255).astype(np.uint8)


def image_tree(root, domains=('Art', 'Clipart', 'Real World'), classes=('Bike', 'Mug'), each=12):
    """ROOT/DOMAIN/CLASS/NUMBER.jpg, as Office-Home is laid out."""
    rng = np.random.default_rng(0)
    for domain in domains:
        for kind, name in enumerate(classes):
            folder = root / domain / name
            folder.mkdir(parents=True)
            for number in range(each):
                assert cv2.imwrite(str(folder / f'{number:05}.jpg'), picture(rng, kind))
    return root
