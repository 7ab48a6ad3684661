"""Digits of four collections (mnist, usps, semeion, optdigits) at 16 x 16, five labels a class: a row of docs/results/transfer.md.

    python -m transfer_jax.main --config=configs/digits4.py --workdir=runs/digits4 --config.data.path=digits4_16x16.npz

The file holds x [n, 16, 16] uint8, y, d and domains. On one busy core: 1.5 minutes.
"""
from configs import transfer


def get_config():
    """configs/transfer.py with this benchmark's data."""
    config = transfer.get_config()
    config.seeds = 10
    config.data.max_per_domain = 2000
    return config
