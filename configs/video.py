"""The main job: fine-tunes a tiny Wan with timestep-aware quality decoupling, on rendered clips or on yours, by TQD and uniformly.

    make demo
    python -m tqd_jax.main --config=configs/video.py --workdir=runs/video                            the same
    python -m tqd_jax.main --config=configs/video.py --workdir=runs/mine --config.data.clips=FOLDER  on your clips

It takes the road of configs/wan.py, with weights that the package ships (asset:tiny_wan, in diffusers' layout) in place of published ones:
clips are scored, the VAE and the text encoder encode them into a cache, the transformer is trained on the cache, and the VAE decodes its
samples. Words that no rendered caption has are spelt, letter by letter, so about 30 letters of such a caption are read. The
same job on pixels, without a VAE, is configs/pixels.py.

Machine: two cores, no accelerator; 70 s where nothing else runs. Expected: 300 steps of a transformer of 1.8 million parameters on clips of
64 x 64 x 17, which are 8 x 8 x 5 latents, by TQD, then as many uniformly from the same start; and runs/video/report.html, which shows
samples of both. The start has learned such clips for 24000 steps already: the validation loss goes from .5077 to .5083 by TQD and
.5073 uniformly (at a learning rate of 5e-4 to .513 by both).

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
    config.compare = 'uniform'              # a second run without TQD, for the report; None leaves it out
    config.data.clips = None
    config.data.buckets = ((64, 64, 17),)
    config.data.fps = 12
    config.law.kind = 'beta'
    config.model.preset = None              # that of the weights
    config.train.precondition = None        # as Wan's weights
    config.train.steps = 300
    config.train.batch = 8
    config.train.learning_rate = 1e-4       # clips of another look than rendered ones learn faster at 5e-4
    config.sample.clips = 16
    config.sample.guidance = 3.0
    return config
