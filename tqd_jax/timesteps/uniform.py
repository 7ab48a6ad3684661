"""The base distribution for every clip, whatever its scores."""
from tqd_jax.timesteps.law import make_law


def uniform(mq, vq, config):
    """The Law [B] of LawConfig's base and shift: quality has no influence on t."""
    return make_law(mq.size, base=config.base, shift=config.shift)
