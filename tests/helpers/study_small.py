"""Studies in the small: two sizes of world, a second of video each, and study 1 with a few arms and seeds."""
from benchmarks.studies.config import TableConfig
from benchmarks.studies.world.world import World
from configs.studies import table
from transfer_jax.runtime.config import instance, override

SIZES = {'tiny': World(), 'small': World(size=64, frames=32, fps=32)}  # the same motion from pixel to pixel
ARMS, SEEDS = ['A uniform', 'C uniform', 'B tqd'], [0, 1, 2]


def config(**changes):
    """The config of size smoke with changes, checked."""
    small = {'size': 'smoke', 'seeds': tuple(SEEDS), 'arms': tuple(ARMS)}
    return override(instance(TableConfig, table.get_config()), small | changes)
