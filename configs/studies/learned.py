"""Study 3: laws of t learned from the gradients of a model, against those set by hand from motion and visual quality.

    python -m benchmarks.studies --config=configs/studies/learned.py --workdir=runs/study --config.size=tiny
    python -m benchmarks.studies --config=configs/studies/learned.py --workdir=runs/study --config.size=tiny --config.world=all
    python -m benchmarks.studies --config=configs/studies/learned.py --workdir=runs/smoke --config.size=smoke --config.results=runs/smoke \
        --config.chunks=6 --config.chunk=1                                        a minute or two: it shows only that everything runs

Machine: two cores. Expected: the tables of docs/results/learned_law.md. What configs/studies/table.py left in the same --workdir is used
again for world = 'detail'; what is missing is trained. Keys and sizes: benchmarks/studies/config.py.

A stopped study goes on with the same command. Any key is overridden by --config.KEY=VALUE.
"""
from benchmarks.studies.config import LearnedConfig
from transfer_jax.runtime.config import defaults


def get_config():
    """Fine-tuning on five seeds, by learned laws and by ten arms that are set by hand."""
    config = defaults(LearnedConfig)
    config.size = 'tiny'
    config.world = 'detail'
    config.regimes = ('finetune',)
    config.seeds = (0, 1, 2, 3, 4)
    return config
