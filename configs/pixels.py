"""The main job on pixels: fine-tunes a tiny transformer on frames of 32 x 32 pixels and captions as hashed words, without a VAE.

    python -m tqd_jax.main --config=configs/pixels.py --workdir=runs/pixels
    python -m tqd_jax.main --config=configs/pixels.py --workdir=runs/mine --config.data.clips=FOLDER  on your clips

It is what configs/video.py is on latents: for training from noise, for presets of any size, and for all that a text encoder or a VAE would
stand in the way of.

Machine: two cores, no accelerator. Expected: 300 steps of a model of 1.3 million parameters, from the shipped checkpoint; samples in
which objects keep their colour and most of them move (docs/results/samples.md), and runs/pixels/report.html.

Any key is overridden by --config.KEY=VALUE. All keys, with defaults and meanings: docs/configuration.md.
"""
from tqd_jax.config import Config
from transfer_jax.runtime.config import defaults


def get_config():
    """The defaults, which are this job's; here are those that a job of your own will change first."""
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
