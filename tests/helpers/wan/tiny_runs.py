"""The job on latents and the pretraining of its checkpoint shrunk to runs of seconds, in this process."""
import pathlib

import numpy as np
import once
from alone import one_device

from configs import video
from configs.pretrain import tiny_wan
from tqd_jax import main
from tqd_jax.config import Config
from tqd_jax.training.run import build
from transfer_jax.runtime.config import instance, override
from transfer_jax.runtime.saves.checkpoint import Checkpoints
from transfer_jax.runtime.tensors import named_leaves

CONFIGS = {'video': video, 'tiny_wan': tiny_wan}
SMALL = {'data.rendered_clips': 8, 'data.scoring_workers': 0, 'data.windows': 1, 'train.batch': 2, 'train.steps': 3, 'train.warmup': 0,
         'log_every': 1, 'eval.every': 3, 'eval.clips_per_quadrant': 1, 'checkpoint.every': 2, 'sample.clips': 1, 'sample.steps': 2,
         'sample.solver': 'euler', 'wan.vae_chunk': 4}


def config(name, **changes):
    """The checked config of a small run of one of CONFIGS."""
    text = lambda value: str(value) if isinstance(value, pathlib.Path) else value
    return override(instance(Config, CONFIGS[name].get_config()), {key: text(value) for key, value in {**SMALL, **changes}.items()})


@one_device()
def run(name, workdir, mode='train', **changes):
    """The main job, without the pages' figures; faults are raised."""
    with once.programs_once(), once.without_figures():
        main.main(config(name, **changes), workdir, mode)
    return workdir


@one_device()
def saved(name, workdir, **changes):
    """{name: array} of the newest checkpoint."""
    checkpoints = Checkpoints(workdir / 'checkpoints')
    state = checkpoints.restore(checkpoints.latest(), build(config(name, **changes), workdir).abstract_state)
    return {leaf: np.asarray(value) for leaf, value in named_leaves(state).items()}
