"""Digits of four collections (mnist, usps, semeion, optdigits) at 16 x 16, five labels a class: a row of docs/results/transfer.md.

    python -m transfer_jax.main --config=configs/digits4.py --workdir=runs/digits4 --config.data.path=digits4_16x16.npz

The file holds x [n, 16, 16] uint8, y, d and domains. Machine: one busy core, 1.5 minutes. Expected average accuracy over the four
targets: uowq .792 ± .005, cv_global .777 ± .005, target_only .772 ± .003, all_sources .557 ± .002.
"""
from transfer_jax.experiment.config import TransferConfig
from transfer_jax.runtime.config import defaults


def get_config():
    """The transfer job with this benchmark's data."""
    config = defaults(TransferConfig)
    config.seeds = 10
    config.data.max_per_domain = 2000
    return config
