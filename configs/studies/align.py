"""Study 2: where in noise time the gradients of worse copies of golden clips agree with those of the clips themselves.

    python -m benchmarks.studies --config=configs/studies/align.py --workdir=runs/study --config.size=tiny
    python -m benchmarks.studies --config=configs/studies/align.py --workdir=runs/smoke --config.size=smoke --config.results=runs/smoke

Machine: two cores. Expected: the tables of docs/results/alignment.md. It stands on the uniform pre-training of configs/studies/table.py:
what that study left in the same --workdir is used, what is missing is trained. Keys and sizes: benchmarks/studies/config.py.

A stopped study goes on with the same command. Any key is overridden by --config.KEY=VALUE.
"""
from benchmarks.studies.config import AlignConfig
from transfer_jax.runtime.config import defaults


def get_config():
    """128 clips at three moments of five pre-trainings."""
    config = defaults(AlignConfig)
    config.size = 'tiny'
    config.seeds = (0, 1, 2, 3, 4)
    config.moments = (0.125, 0.5, 1.0)
    config.clips = 128
    return config
