"""The benchmark world: clips in memory with everything that is true of them, each a pure function of (seed, index)."""
import dataclasses
import functools
import itertools
import math

import numpy as np
from scipy import optimize, stats

from benchmarks.studies.world.degradations import DEGRADATIONS, KNOWN, degrade_look
from tqd_jax.clips import scenes
from tqd_jax.text.words import tokenize

TEXT_LEN, VOCAB = 8, 512  # of captions, as in configs/video.py; no two words of this world share a token
FINEST = 64  # smaller frames are rendered at about this size and averaged: stripes and weave would alias
SEVERITY = {True: (0.1, 0.0), False: (1.0, 0.5)}  # of good and of poor look, from the lowest vq to the highest
MORE = 0.25  # probability of each sprite beyond the least
HELD_OUT, TARGET, COMPARED = 2000, 3000, 4000  # seeds of worlds beside the library's: for validation, for learning laws, for gradients


@dataclasses.dataclass(frozen=True, kw_only=True)
class World:
    """What a benchmark's clips are.

    size, frames, fps: a clip is uint8 [frames, size, size, 3] at fps frames a second. clips: how many. seed: of everything.
    sprites: the least and the most objects of a scene; each beyond the least is there with probability 1/4.
    correlation: Pearson's, of mq and vq over the library. golden: the share of clips that are good at both.
    degradations: of look, drawn uniformly; from study.degradations.DEGRADATIONS. Raises ValueError for impossible settings.
    """

    size: int = 16
    frames: int = 8
    fps: int = 8
    clips: int = 2048
    seed: int = 0
    sprites: tuple[int, int] = (1, 2)
    correlation: float = -0.24
    golden: float = 0.219
    degradations: tuple[str, ...] = KNOWN

    def __post_init__(self):
        if self.size < 16 or self.size % 8 or self.frames < 2 or self.fps < 1 or self.clips < 1 or self.seed < 0:
            raise ValueError(f'a world has a size of 16, 24, ..., 2 frames, 1 fps, 1 clip and a seed from 0, not {self}')
        if not 1 <= self.sprites[0] <= self.sprites[1] <= 2:
            raise ValueError(f'a scene has 1 or 2 sprites (captions have {TEXT_LEN} words), not {self.sprites}')
        if not -1 < self.correlation < 1 or not 0 < self.golden < 1:
            raise ValueError(f'correlation {self.correlation} must be in (-1, 1), golden {self.golden} in (0, 1)')
        if not self.degradations or set(self.degradations) - set(DEGRADATIONS):
            raise ValueError(f'degradations are some of {", ".join(DEGRADATIONS)}, not {self.degradations}')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clips:
    """N clips and their truth; S = 2 places for sprites, the second empty where there is one only.

    frames: uint8 [N, F, H, W, 3]. tokens: int32 [N, 8]. captions: str [N]. mq, vq: [N] in [0, 1], the share of the library that is slower
    or looks worse. golden, motion_only, look_only, poor: bool [N], one of them true. speed: [N], frame diagonals a second. severity: [N]
    in [0, 1]. degradation: int [N], into DEGRADATIONS. shape, colour: int [N, S], into scenes.SHAPES and list(scenes.COLOURS), -1 where
    empty. radius: [N, S] and positions: [N, F, S, 2] as (x, y), in frame widths, NaN where empty.
    """

    frames: np.ndarray
    tokens: np.ndarray
    captions: np.ndarray
    mq: np.ndarray
    vq: np.ndarray
    golden: np.ndarray
    motion_only: np.ndarray
    look_only: np.ndarray
    poor: np.ndarray
    speed: np.ndarray
    severity: np.ndarray
    degradation: np.ndarray
    shape: np.ndarray
    colour: np.ndarray
    radius: np.ndarray
    positions: np.ndarray

    def __len__(self):
        return len(self.frames)

    def take(self, rows):
        """The Clips of these rows (indices or a mask)."""
        return Clips(**{field.name: getattr(self, field.name)[rows] for field in dataclasses.fields(self)})


def make_clips(world, indices=None):
    """The Clips of a World, clip i a function of (world, i) but not of world.clips. indices: which; all by default."""
    rows = [_clip(world, int(index)) for index in (range(world.clips) if indices is None else indices)]
    return Clips(**{name: np.stack([row[name] for row in rows]) for name in rows[0]})


def golden_indices(world, count):
    """The first `count` indices of golden clips of a World, however far that goes."""
    bar = threshold(world)
    return list(itertools.islice((index for index in itertools.count() if min(quality(world, index)) > bar), count))


def golden_clips(world, count):
    """The first `count` golden Clips of a World: for references and held-out captions."""
    return make_clips(world, golden_indices(world, count))


def threshold(world):
    """Above which mq and vq are good: P(both above) is world.golden, under the world's copula."""
    return _threshold(world.correlation, world.golden)


@functools.cache
def _threshold(correlation, golden):
    law = stats.multivariate_normal(cov=[[1, _rho(correlation)], [_rho(correlation), 1]])
    return float(stats.norm.cdf(optimize.brentq(lambda z: law.cdf([-z, -z]) - golden, -6, 6, xtol=1e-6)))


def _rho(correlation):
    """Of the Gaussian copula whose uniform marginals have this Pearson correlation: r = (6 / pi) asin(rho / 2)."""
    return 2 * math.sin(math.pi * correlation / 6)


def quality(world, index):
    """(mq, vq) of clip `index`: uniform marginals under a Gaussian copula, so they are the ranks in an endless library."""
    first, second = np.random.default_rng([world.seed, 10, index]).standard_normal(2)
    rho = _rho(world.correlation)
    return tuple(stats.norm.cdf([first, rho * first + math.sqrt(1 - rho * rho) * second]).tolist())


def scene(world, index, *, moving=False):
    """The scenes.Scene of clip `index`, at the speed of its mq; `moving`: at a good speed even where mq is poor."""
    (mq, vq), bar = quality(world, index), threshold(world)
    good, place = mq > bar, (mq - bar) / (1 - bar) if mq > bar else mq / bar
    low, high = scenes.SPEEDS[good or moving]
    rng = np.random.default_rng([world.seed, 11, index])
    count = world.sprites[0] + int(rng.binomial(world.sprites[1] - world.sprites[0], MORE))
    colours = rng.choice(list(scenes.COLOURS), count, replace=False)
    speed = math.sqrt(2) * (low + (high - low) * place)
    dark = rng.uniform(45, 85, 2)[:, None] + rng.uniform(-15, 15, (2, 3))
    return scenes.Scene(kind=('poor', 'look', 'motion', 'golden')[2 * good + (vq > bar)], colours=tuple(map(tuple, dark.tolist())),
                        sprites=tuple(_sprite(rng, str(colour), speed, k / count, 1 / count) for k, colour in enumerate(colours)),
                        angle=rng.uniform(0, 2 * math.pi), phase=tuple(rng.uniform(0, 2 * math.pi, 2).tolist()))


def _sprite(rng, colour, speed, left, width):
    """A sprite that starts in its own part of the frame, so that two start side by side."""
    radius, heading = rng.uniform(0.17, 0.22), rng.uniform(0, 2 * math.pi)
    start = radius + (1 - 2 * radius) * (np.array([left, 0]) + np.array([width, 1]) * rng.random(2))
    return scenes.Sprite(shape=str(rng.choice(scenes.SHAPES)), colour=colour, radius=radius, start=tuple(start.tolist()),
                         velocity=(speed * math.cos(heading), speed * math.sin(heading)), angle=rng.uniform(0, math.pi))


def render(world, scene_):
    """Frames uint8 [F, size, size, 3] of a Scene, before any degradation; small ones are averages of finer ones."""
    factor = max(1, FINEST // world.size)
    fine = scenes.render(scene_, size=world.size * factor, fps=world.fps, count=world.frames)
    cells = fine.reshape(world.frames, world.size, factor, world.size, factor, 3).mean((2, 4), dtype=np.float32)
    return np.rint(cells).astype(np.uint8)


def pristine(world, index):
    """Clip `index` as it would be if it were golden, undegraded and moving at a good speed: uint8 [F, H, W, 3]."""
    return render(world, scene(world, index, moving=True))


def slowed(world, index, factor):
    """pristine(world, index) with all speeds times `factor`, rendered smoothly: the same look, another motion."""
    whole = scene(world, index, moving=True)
    slow = (dataclasses.replace(sprite, velocity=tuple(factor * v for v in sprite.velocity)) for sprite in whole.sprites)
    return render(world, dataclasses.replace(whole, sprites=tuple(slow)))


def _clip(world, index):
    """One row of every field of Clips."""
    (mq, vq), bar, scene_ = quality(world, index), threshold(world), scene(world, index)
    place = (vq - bar) / (1 - bar) if vq > bar else vq / bar
    worst, best = SEVERITY[vq > bar]
    severity, rng = worst + (best - worst) * place, np.random.default_rng([world.seed, 12, index])
    kind = str(rng.choice(world.degradations))
    row = {'frames': degrade_look(render(world, scene_), kind, severity, rng), 'tokens': tokenize(scene_.caption, TEXT_LEN, VOCAB),
           'captions': np.array(scene_.caption), 'mq': np.float64(mq), 'vq': np.float64(vq), 'speed': np.float64(scene_.motion),
           'severity': np.float64(severity), 'degradation': np.int32(DEGRADATIONS.index(kind))}
    kinds = {'golden': 'golden', 'motion': 'motion_only', 'look': 'look_only', 'poor': 'poor'}
    return row | {name: np.bool_(scene_.kind == kind_) for kind_, name in kinds.items()} | _places(world, scene_)


def _places(world, scene_):
    shape, colour, radius = np.full(2, -1, np.int32), np.full(2, -1, np.int32), np.full(2, np.nan)
    places, times = np.full((world.frames, 2, 2), np.nan), np.arange(world.frames) / world.fps
    for k, sprite in enumerate(scene_.sprites):
        shape[k], colour[k] = scenes.SHAPES.index(sprite.shape), list(scenes.COLOURS).index(sprite.colour)
        radius[k], places[:, k] = sprite.radius, scenes.positions(sprite, times)
    return {'shape': shape, 'colour': colour, 'radius': radius, 'positions': places}
