"""The shipped checkpoint of pixels: the tiny model trained uniformly on all rendered clips, from noise.

    python -m tqd_jax.main --config=configs/pretrain/tiny.py --workdir=runs/pretrain_tiny
    python -m tqd_jax.shipped.publish runs/pretrain_tiny tiny

Machine: two cores, no accelerator; 46 minutes. Expected: tqd_jax/assets/tiny.npz, which configs/pixels.py starts from, and beside it
tiny.json (the config that made it) and tiny.jsonl (its log; validation loss on golden clips about .09 at the end). Neither scores nor
laws play a part: t is uniform and every clip is drawn equally often.
"""
from tqd_jax.config import Config
from transfer_jax.runtime.config import defaults


def get_config():
    """From scratch, uniformly, 12000 steps."""
    config = defaults(Config)
    config.seed = 1                         # other scenes than those of configs/pixels.py
    config.init_from = None
    config.model.text_len = 8
    config.log_every = 100
    config.data.rendered_clips = 1500
    config.data.dropout = 'none'
    config.data.held_out_fraction = 0.0
    config.law.kind = 'uniform'
    config.train.steps = 12000
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
