"""The main job on latents: fine-tunes a tiny Wan that the package ships, on clips it renders itself or on yours, and compares the laws.

    python -m tqd_jax.main --config=configs/latents.py --workdir=runs/latents
    python -m tqd_jax.main --config=configs/latents.py --workdir=runs/mine --config.data.clips=FOLDER  on your clips

It takes the road of configs/wan.py with weights of the package (asset:tiny_wan, in diffusers' layout): clips are scored, the VAE and the
text encoder encode them into a cache, the transformer is trained on the cache, and the VAE decodes its samples.

Machine: two cores, no accelerator. Expected: 300 steps of a transformer of 1.8 million parameters on 64 x 64 x 17 frames, which are
8 x 8 x 5 latents, once by TQD and once uniformly, and runs/latents/report.html with samples of both. The checkpoint is young: fewer of its
samples hold their shape than of configs/video.py (docs/results/samples.md).

Any key is overridden by --config.KEY=VALUE. All keys, with defaults and meanings: docs/configuration.md.
"""
from tqd_jax.config import Config
from transfer_jax.runtime.config import defaults


def get_config():
    """What this job has other than the defaults, and what a job of your own will change first."""
    config = defaults(Config)
    config.init_from = None
    config.wan.path = 'asset:tiny_wan'
    config.wan.text_dtype = 'float32'
    config.wan.storage = 'float32'
    config.wan.vae_chunk = None             # a small VAE: the whole clip at once
    config.compare = 'uniform'              # a second run without TQD, for the report; None halves the time
    config.data.clips = None
    config.data.buckets = ((64, 64, 17),)
    config.data.fps = 12
    config.law.kind = 'beta'
    config.model.preset = None              # that of the weights
    config.train.precondition = None        # as Wan's weights
    config.train.steps = 300
    config.train.batch = 8
    config.train.learning_rate = 5e-4
    config.sample.clips = 16
    return config
