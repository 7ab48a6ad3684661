"""The small world of tests and studies: a tiny model of 32 x 32 pixels, without VAE or text encoder.

    python -m tqd_jax.main --config=configs/pixels.py --workdir=runs/pixels
    python -m tqd_jax.main --config=configs/pixels.py --workdir=runs/mine --config.data.clips=FOLDER  on your clips

Machine: two cores, no accelerator. Expected: 300 steps of a model of 1.3 million parameters from the checkpoint asset:tiny.npz, which
configs/pretrain/tiny.py made; samples in which objects keep their colour and most of them move, and runs/pixels/report.html.

Any key is overridden by --config.KEY=VALUE. All keys, with defaults and meanings: docs/configuration.md.
"""
from tqd_jax.config import Config
from transfer_jax.runtime.config import defaults


def get_config():
    """The defaults of all keys; here are those that a job of your own will change first."""
    config = defaults(Config)
    config.init_from = 'asset:tiny.npz'
    config.data.clips = None
    config.data.buckets = ((32, 32, 8),)
    config.law.kind = 'beta'
    config.model.preset = 'tiny'
    config.train.steps = 300
    config.train.batch = 8
    config.train.learning_rate = 5e-4
    return config
