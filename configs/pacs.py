"""PACS, stored at 64 x 64 and trained at 32 x 32, five labels a class, each of its domains as target: a row of docs/results/transfer.md.

    python -m transfer_jax.main --config=configs/pacs.py --workdir=runs/pacs --config.data.path=pacs_64.npz

The file holds x [n, 64, 64, 3] uint8, y, d, domains and classes. A head is trained on a convolutional trunk that stays as it was drawn:
with no weights from elsewhere, that is what two cores can afford for ten seeds. Machine: one busy core, 12 minutes. Expected average
accuracy over the four targets: uowq .411 ± .004, cv_global .400 ± .004, target_only .373 ± .004, all_sources .338 ± .002.
"""
from transfer_jax.experiment.config import TransferConfig
from transfer_jax.runtime.config import defaults


def get_config():
    """The transfer job with this benchmark's data and a convolutional trunk."""
    config = defaults(TransferConfig)
    config.seeds = 10
    config.data.image_size = 32
    config.data.channels = 3
    config.data.max_per_domain = 1600
    config.data.mean = (0.5, 0.5, 0.5)
    config.data.std = (0.25, 0.25, 0.25)
    config.model.kind = 'convnet'
    config.model.hidden = (32, 64, 128)
    config.model.trainable = 'head'
    config.train.learning_rate = 0.001
    return config
