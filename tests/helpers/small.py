"""The job on pixels shrunk to runs of seconds, in this process or as programs of their own, and small clips to run it on."""
import json
import os
import pathlib
import subprocess
import sys
from unittest import mock

import numpy as np
import once
import pytest
import quick
from alone import ENVIRONMENT, one_device

from configs import pixels
from tqd_jax import main
from tqd_jax.clips.render import render_library
from tqd_jax.clips.write import write_clip
from tqd_jax.config import Config
from tqd_jax.training.run import build
from transfer_jax.runtime.config import instance, override
from transfer_jax.runtime.paths import path_of
from transfer_jax.runtime.saves.checkpoint import Checkpoints
from transfer_jax.runtime.store import Store
from transfer_jax.runtime.tensors import named_leaves

ROOT = pathlib.Path(__file__).parents[2]
SMALL = {
    'init_from': None, 'compare': None, 'data.buckets': ((16, 16, 4),), 'data.rendered_clips': 16, 'data.scoring_workers': 0,
    'train.batch': 8, 'train.steps': 8, 'train.warmup': 2, 'train.learning_rate': 3e-4, 'log_every': 2, 'eval.every': 4,
    'eval.clips_per_quadrant': 1, 'checkpoint.every': 4,
    'sample.clips': 2, 'sample.steps': 2, 'sample.solver': 'euler'}


def command_line(workdir, mode='train', **changes):
    """The flags of a small run; changes: {'train.steps': 12, ...}."""
    overrides = [f'--config.{key}={value}' for key, value in {**SMALL, **changes}.items()]
    return [f'--config={ROOT / "configs/pixels.py"}', f'--workdir={workdir}', f'--mode={mode}', *overrides]


def config(**changes):
    """The checked config of a small run."""
    text = lambda value: str(value) if isinstance(value, pathlib.Path) else value
    return override(instance(Config, pixels.get_config()), {key: text(value) for key, value in {**SMALL, **changes}.items()})


def run(workdir, mode='train', **changes):
    """The main job in this process, without the pages' figures; faults are raised."""
    with once.programs_once(), once.without_figures():
        run_whole(workdir, mode, **changes)


def run_whole(workdir, mode='train', **changes):
    """The main job in this process; faults are raised."""
    with one_device():
        main.main(config(**changes), workdir, mode)


def run_stopped(workdir, mode, name, **changes):
    """The work directory of a run that is interrupted when it has kept the result `name`, and goes on without making that again."""
    save, saved = Store.save, []

    def stopped(store, kept, *rest):
        save(store, kept, *rest)
        saved.append(kept)
        if saved == [name]:
            raise KeyboardInterrupt

    with mock.patch.object(Store, 'save', stopped):
        with pytest.raises(KeyboardInterrupt):
            run(workdir, mode, **changes)
        run(workdir, mode, **changes)
    assert saved.count(name) == 1 and len(saved) > 1
    return workdir


def built(workdir, **changes):
    """The Run of a prepared work directory."""
    with one_device():
        return build(config(**changes), workdir)


class Program:
    """python -m tqd_jax.main as a process of its own, on one device."""

    def __init__(self, signalled=ENVIRONMENT):
        """signalled: more variables of its environment where signalled.py starts it."""
        folders = [ROOT, ROOT / 'tests/helpers', ROOT / 'tests/helpers/joined']
        path = os.pathsep.join([*map(str, folders), os.environ.get('PYTHONPATH', '')])
        self.environment, self.signalled = {**os.environ, 'PYTHONPATH': path}, signalled

    def command_line(self, workdir, mode='train', **changes):
        """The module and its flags."""
        return ['tqd_jax.main', *command_line(workdir, mode, **changes)]

    def __call__(self, workdir, *, signalled=None, **changes):
        """(exit code, stdout, stderr) of a run; signalled: (signal, folder, step), sent when the metrics in that folder have that step."""
        how = [quick.__file__] if signalled is None else [str(ROOT / 'tests/helpers/signalled.py'), *map(str, signalled)]
        environment = {**self.environment, **({} if signalled is None else self.signalled)}
        done = subprocess.run([sys.executable, *how, *self.command_line(workdir, **changes)], cwd=ROOT, env=environment, text=True,
                              capture_output=True, timeout=500)
        return done.returncode, done.stdout, done.stderr


def rendered(folder, clips=16):
    """The manifest of a small rendered library."""
    return str(render_library(folder, clips=clips, seconds=1.0))


def moving(folder, names, size=(32, 32), seconds=1.0, fps=8):
    """Writes one clip a name: a smooth texture that moves, each at a speed of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        rng = np.random.default_rng(number)
        still = np.kron(rng.integers(30, 226, (size[0] // 8, size[1] // 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        write_clip(folder / name, np.stack([np.roll(still, i * (number % 4), axis=1) for i in range(round(seconds * fps))]), fps)
    return folder


def saved(workdir, **changes):
    """(step, {name: array}) of the newest checkpoint: parameters, optimizer state, average."""
    checkpoints = Checkpoints(path_of(workdir) / 'checkpoints')
    step = checkpoints.latest()
    state = checkpoints.restore(step, built(workdir, **changes).abstract_state)
    return step, {name: np.asarray(leaf) for name, leaf in named_leaves(state).items()}


def scalars(workdir):
    """The records of metrics.jsonl, without what the clock says."""
    timed = 'examples_per_second', 'wait_share', 'step_seconds', 'tflops_per_device', 'mfu', 'goodput'
    return [{name: value for name, value in line.items() if name not in timed and not name.startswith('time/')}
            for line in lines(pathlib.Path(workdir) / 'metrics.jsonl')]


def lines(path):
    """The records of a .jsonl."""
    return [json.loads(line) for line in path.read_text().splitlines()]
