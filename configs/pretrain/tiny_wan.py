"""The shipped transformer: the tiny Wan trained uniformly on the latents of all rendered clips, from noise.

    make pretrain

Machine: two cores, no accelerator; 36 minutes, measured on cores that others used too. Expected: tqd_jax/assets/tiny_wan with the
transformer that configs/video.py starts from, and beside it pretrain.json (the config that made it) and pretrain.jsonl (its log; validation
loss .50 at the end, of clips that it trained on). Neither scores nor laws play a part: t is uniform and every clip is drawn equally often.
Text encoder and tokenizer are those of the random start, the VAE is the shipped one.
"""
from tqd_jax.config import Config
from transfer_jax.runtime.config import defaults


def get_config():
    """From the random start that python -m tqd_jax.shipped.start writes, uniformly."""
    config = defaults(Config)
    config.seed = 1                         # other scenes than those of configs/video.py
    config.init_from = None
    config.wan.path = 'runs/tiny_wan'
    config.wan.vae = 'asset:tiny_wan/vae'
    config.wan.text_dtype = 'float32'
    config.wan.storage = 'float32'
    config.wan.vae_chunk = None             # a small VAE: the whole clip at once
    config.log_every = 100
    config.data.rendered_clips = 3000
    config.data.buckets = ((64, 64, 17),)
    config.data.fps = 12
    config.data.windows = 2
    config.data.dropout = 'none'
    config.data.held_out_fraction = 0.0
    config.law.kind = 'uniform'
    config.model.preset = None
    config.train.precondition = None
    config.train.steps = 24000
    config.train.batch = 8
    config.train.optimizer = 'muon'
    config.train.learning_rate = 4e-3
    config.train.schedule = 'cosine'
    config.train.warmup = 200
    config.train.weight_decay = 0.01
    config.train.ema = 0.999
    config.eval.every = 4000
    config.checkpoint.every = 500
    config.sample.clips = 16
    return config
