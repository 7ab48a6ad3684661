"""The transfer job: digit domains that the package brings along, five labels a class, every method, every domain as target in turn.

    make transfer
    python -m transfer_jax.main --config=configs/transfer.py --workdir=runs/transfer                 the same
    python -m transfer_jax.main --config=configs/transfer.py --workdir=runs/mine --config.data.path=FOLDER_OR_FILE

Machine: two cores, no accelerator. Expected: a table of 16 methods on 6 domains, runs/transfer/results.json and report.html.
docs/transfer.md explains the methods; docs/results/transfer.md has real data.

Any key is overridden by --config.KEY=VALUE. All keys, with defaults and meanings: docs/configuration.md.
"""
from transfer_jax.experiment.config import TransferConfig
from transfer_jax.runtime.config import defaults


def get_config():
    """The defaults, which are this job's; here are those that a job of your own will change first."""
    config = defaults(TransferConfig)
    config.seeds = 5
    config.targets = None
    config.data.path = None
    config.data.shots = 5
    config.model.kind = 'linear'
    config.train.learning_rate = 0.01
    config.train.prior = 1.0
    return config
