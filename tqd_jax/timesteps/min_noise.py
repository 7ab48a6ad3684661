"""A least noise for clips of low visual quality, as in Ambient Diffusion Omni."""
from tqd_jax.timesteps.law import make_law


def min_noise(mq, vq, config):
    """The Law [B] of the base, conditioned on t >= config.strength (1 - vq)."""
    return make_law(mq.size, t_min=config.strength * (1 - vq), base=config.base, shift=config.shift)
