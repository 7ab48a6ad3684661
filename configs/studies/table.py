"""Study 1: what timestep-aware quality decoupling brings, arm by arm, on a world with a known truth.

    python -m benchmarks.studies --config=configs/studies/table.py --workdir=runs/study --config.size=tiny         two cores, 81 minutes
    python -m benchmarks.studies --config=configs/studies/table.py --workdir=runs/study --config.size=tiny_long    one H100, 17 minutes
    python -m benchmarks.studies --config=configs/studies/table.py --workdir=runs/study --config.size=tiny_5000 \
        "--config.regimes=('scratch',)"                                                                          two cores, 50 minutes
    python -m benchmarks.studies --config=configs/studies/table.py --workdir=runs/study --config.size=small        not yet run
    python -m benchmarks.studies --config=configs/studies/table.py --workdir=runs/smoke --config.size=smoke --config.results=runs/smoke

Expected: the tables of docs/results/tqd.md. Sizes and keys: benchmarks/studies/config.py.

The steps of tiny and tiny_long were set by the time there is, before an arm was looked at; tiny_5000 has as many as pre-training and
fine-tuning of tiny, whose results existed then, and its B reversed was added after its B tqd. The learning rate and the
preconditioning come from one seed on other clips.

A stopped study goes on with the same command. Any key is overridden by --config.KEY=VALUE, a size's by --config.sizes.NAME.KEY=VALUE.
"""
from benchmarks.studies.config import TableConfig
from transfer_jax.runtime.config import defaults


def get_config():
    """All arms on five seeds in both regimes."""
    config = defaults(TableConfig)
    config.size = 'tiny'
    config.regimes = ('finetune', 'scratch')
    config.arms = None
    config.seeds = (0, 1, 2, 3, 4)
    return config
