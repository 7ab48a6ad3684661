"""Clips of the benchmark world in memory, with their truth: clip i is a function of the world and i alone."""
import itertools

import numpy as np

from benchmarks.studies.world.degradations import DEGRADATIONS, degrade_visual
from benchmarks.studies.world.quality import quality, threshold
from benchmarks.studies.world.render import render, scene
from benchmarks.studies.world.world import TEXT_LEN, VOCAB, Clips
from tqd_jax.clips import scenes
from tqd_jax.text.words import tokenize

SEVERITY = {True: (0.1, 0.0), False: (1.0, 0.5)}  # of good and of poor visual quality, from the lowest vq to the highest


def make_clips(world, indices=None):
    """The Clips of a World, clip i a function of (world, i) but not of world.clips. indices: which; all by default."""
    rows = [_clip(world, int(index)) for index in (range(world.clips) if indices is None else indices)]
    return Clips(**{name: np.stack([row[name] for row in rows]) for name in rows[0]})


def golden_indices(world, count):
    """The first `count` indices of golden clips of a World; the search has no end."""
    bar = threshold(world)
    return list(itertools.islice((index for index in itertools.count() if min(quality(world, index)) > bar), count))


def golden_clips(world, count):
    """The first `count` golden Clips of a World: for references and held-out captions."""
    return make_clips(world, golden_indices(world, count))


def _clip(world, index):
    """One row of every field of Clips."""
    (mq, vq), bar, scene_ = quality(world, index), threshold(world), scene(world, index)
    place = (vq - bar) / (1 - bar) if vq > bar else vq / bar
    worst, best = SEVERITY[vq > bar]
    severity, rng = worst + (best - worst) * place, np.random.default_rng([world.seed, 12, index])
    degradation = str(rng.choice(world.degradations))
    row = {'frames': degrade_visual(render(world, scene_), degradation, severity, rng), 'tokens': tokenize(scene_.caption, TEXT_LEN, VOCAB),
           'captions': np.array(scene_.caption), 'mq': np.float64(mq), 'vq': np.float64(vq), 'speed': np.float64(scene_.motion),
           'severity': np.float64(severity), 'degradation': np.int32(DEGRADATIONS.index(degradation))}
    columns = {'golden': 'golden', 'motion': 'motion_only', 'visual': 'visual_only', 'poor': 'poor'}
    return row | {name: np.bool_(scene_.kind == kind) for kind, name in columns.items()} | _sprites(world, scene_)


def _sprites(world, scene_):
    """The fields of Clips that tell the sprites, of one clip."""
    shape, colour, radius = np.full(2, -1, np.int32), np.full(2, -1, np.int32), np.full(2, np.nan)
    places, times = np.full((world.frames, 2, 2), np.nan), np.arange(world.frames) / world.fps
    for k, sprite in enumerate(scene_.sprites):
        shape[k], colour[k] = scenes.SHAPES.index(sprite.shape), list(scenes.COLOURS).index(sprite.colour)
        radius[k], places[:, k] = sprite.radius, scenes.positions(sprite, times)
    return {'shape': shape, 'colour': colour, 'radius': radius, 'positions': places}
