"""The shipped checkpoint: the tiny model trained uniformly on all rendered clips, from noise.

    make pretrain

It is what configs/video.py starts from (tqd_jax/assets/tiny.npz, its log beside it). Neither scores nor laws play a part in it: t is
uniform and every clip is drawn equally often.
"""
from configs import video


def get_config():
    """configs/video.py from scratch, uniformly, longer."""
    config = video.get_config()
    config.seed = 1                         # other scenes than those of configs/video.py
    config.init_from = None
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
    config.log_every = 100
    config.eval.every = 4000
    config.checkpoint.every = 500
    config.sample.clips = 16
    return config
