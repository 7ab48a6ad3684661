"""Office-Caltech10 on SURF-800 histograms, five labels a class, each of the four domains as target: a row of docs/results/transfer.md.

    python -m transfer_jax.main --config=configs/office_caltech.py --workdir=runs/office_caltech --config.data.path=FOLDER

FOLDER holds amazon.mat, caltech10.mat, dslr.mat and webcam.mat with `fts` and `labels`. Machine: one busy core, 2.5 minutes. Expected
average accuracy over the four targets: uowq .711 ± .004, otqms .695 ± .004,
cv_global .644 ± .003, all_sources .607 ± .003, target_only .540 ± .006.
"""
from transfer_jax.experiment.config import TransferConfig
from transfer_jax.runtime.config import defaults


def get_config():
    """The transfer job with this benchmark's data."""
    config = defaults(TransferConfig)
    config.seeds = 10
    config.data.features = 'fts'
    config.data.labels = 'labels'
    config.data.domain = None
    config.data.rows = 'l1'                 # histograms of different totals
    config.data.columns = 'standard'
    config.data.validation = 1              # the smallest class has eight examples
    config.train.learning_rate = 0.001
    config.train.prior = 0.3
    return config
