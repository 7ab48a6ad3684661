"""Clips of the benchmark world as scenes and as frames, each a pure function of (seed, index)."""
import dataclasses
import math

import numpy as np

from benchmarks.studies.world.quality import quality, threshold
from tqd_jax.clips import scenes
from tqd_jax.timesteps.quadrants import QUADRANTS

FINEST = 64  # smaller frames are rendered at about this size and averaged: stripes and weave would alias
EXTRA_SPRITE = 0.25  # probability of each sprite beyond the minimum


def scene(world, index, *, moving=False):
    """The scenes.Scene of clip `index`, at the speed of its mq; `moving`: at a good speed even where mq is poor."""
    (mq, vq), bar = quality(world, index), threshold(world)
    good, place = mq > bar, (mq - bar) / (1 - bar) if mq > bar else mq / bar
    low, high = scenes.SPEEDS[good or moving]
    rng = np.random.default_rng([world.seed, 11, index])
    count = world.sprites[0] + int(rng.binomial(world.sprites[1] - world.sprites[0], EXTRA_SPRITE))
    colours = rng.choice(list(scenes.COLOURS), count, replace=False)
    speed = math.sqrt(2) * (low + (high - low) * place)
    dark = rng.uniform(45, 85, 2)[:, None] + rng.uniform(-15, 15, (2, 3))
    return scenes.Scene(kind=QUADRANTS[2 * good + (vq > bar)], colours=tuple(map(tuple, dark.tolist())),
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


def render_pristine(world, index):
    """Clip `index` as if it were golden, without degradation and at a good speed: uint8 [F, H, W, 3]."""
    return render(world, scene(world, index, moving=True))


def render_slow(world, index, factor):
    """render_pristine(world, index) with all speeds times `factor`, rendered smoothly: the same visual quality, another motion."""
    whole = scene(world, index, moving=True)
    slow = (dataclasses.replace(sprite, velocity=tuple(factor * v for v in sprite.velocity)) for sprite in whole.sprites)
    return render(world, dataclasses.replace(whole, sprites=tuple(slow)))
