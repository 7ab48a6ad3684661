"""Motion and visual quality of the world's clips: two uniform numbers under a Gaussian copula."""
import functools
import math

import numpy as np
from scipy import optimize, stats


def threshold(world):
    """The bar above which mq and vq are good: P(both above it) is world.golden under the world's copula."""
    return _threshold(world.correlation, world.golden)


@functools.cache
def _threshold(correlation, golden):
    copula = stats.multivariate_normal(cov=[[1, _rho(correlation)], [_rho(correlation), 1]])
    return float(stats.norm.cdf(optimize.brentq(lambda z: copula.cdf([-z, -z]) - golden, -6, 6, xtol=1e-6)))


def _rho(correlation):
    """The correlation rho of the Gaussian copula whose uniform marginals have Pearson's r = (6 / pi) asin(rho / 2)."""
    return 2 * math.sin(math.pi * correlation / 6)


def quality(world, index):
    """(mq, vq) of clip `index`: uniform marginals under a Gaussian copula, so they are the ranks in an endless library."""
    first, second = np.random.default_rng([world.seed, 10, index]).standard_normal(2)
    rho = _rho(world.correlation)
    return tuple(stats.norm.cdf([first, rho * first + math.sqrt(1 - rho * rho) * second]).tolist())
