"""The studies' two sizes of world: one second each, with the same motion from pixel to pixel."""
from benchmarks.studies.world.world import World

SIZES = {'tiny': World(), 'small': World(size=64, frames=32, fps=32)}
