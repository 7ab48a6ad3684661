"""The values that the configs of published Wan weights share."""
from tqd_jax.config.schema import Config
from transfer_jax.runtime.config import defaults


def wan_defaults(sizes=None):
    """The config of LoRA on Wan weights in bfloat16, one clip a step, sampled as the model's authors do; a file in configs/ changes it.

    sizes: config.wan.sizes, the published model that the config is for.
    """
    config = defaults(Config)
    config.wan.sizes = sizes
    config.init_from = None
    config.data.fps = 16
    config.data.rendered_clips = None
    config.model.preset = None              # that of the weights
    config.model.dtype = 'bfloat16'
    config.model.remat = 'full'
    config.train.trained = 'lora'
    config.train.steps = 2000
    config.train.batch = 1
    config.train.learning_rate = 1e-4
    config.train.warmup = 100
    config.train.precondition = None
    config.eval.every = 500
    config.checkpoint.every = 250
    config.sample.clips = 4
    config.sample.batch = 1
    config.sample.every = 500
    config.sample.negative = None           # None: as the model's authors
    config.sample.steps = None
    config.sample.guidance = None
    config.sample.shift = None
    config.sample.solver = 'unipc'
    config.sample.grid = 'original'
    config.sample.integer_time = True
    return config
