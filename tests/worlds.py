"""The studies' two sizes of world: one second each, with the same motion from pixel to pixel."""
from tqd_jax.study.world import World

SIZES = {'tiny': World(), 'small': World(size=64, frames=32, fps=32)}
