"""Scenes whose captions samples are drawn for, and the same scenes as clips: clean, and as the rendered library has them."""
import functools
import itertools
import pathlib
import tempfile

import cv2
import numpy as np

from tqd_jax.clips import scenes
from tqd_jax.clips.read import read_clip
from tqd_jax.clips.render import degrade, draw_degradation
from tqd_jax.clips.write import write_clip

LIBRARY = 1_000  # added to a seed of samples: libraries that no checkpoint of the package was trained on
SIZE, FPS, SECONDS = 64, 12, 2.0  # of the rendered library's files


def scenes_of(seed, count):
    """The first `count` scenes of one sprite of the library of LIBRARY + seed, as pairs (index in the library, Scene)."""
    every = ((index, scenes.scene(LIBRARY + seed, index)) for index in itertools.count())
    return list(itertools.islice(((index, scene) for index, scene in every if len(scene.sprites) == 1), count))


def clean_clips(pairs, shape, fps):
    """uint8 [N, F, H, W, 3] of (index, Scene) pairs as scenes.render has them; shape: (F, H, W), H = W."""
    count, side, _ = shape
    return np.stack([_shrunk(scenes.render(scene, size=max(SIZE, side), fps=fps, count=count), side) for _, scene in pairs])


def library_clips(pairs, seed, shape, fps):
    """uint8 [N, F, H, W, 3] of scenes_of(seed, N) as training reads them: degraded, written as a file, and read at fps frames a second."""
    with tempfile.TemporaryDirectory() as folder:
        clip = functools.partial(_file_clip, pathlib.Path(folder, 'clip.mp4'), LIBRARY + seed, shape, fps)
        return np.stack([clip(index, scene) for index, scene in pairs])


def _file_clip(path, seed, shape, fps, index, scene):
    count, side, _ = shape
    seconds = max(SECONDS, count / fps)
    pristine = scenes.render(scene, size=max(SIZE, side), fps=FPS, count=round(seconds * FPS))
    degradation, severity = draw_degradation(seed, index, good=scene.kind in ('golden', 'visual'))
    frames, crf = degrade(pristine, degradation, severity, np.random.default_rng([seed, 3, index]))
    write_clip(path, frames, FPS, crf=crf)
    read = read_clip(str(path), rate=fps, seconds=count / fps, short_side=side).frames
    return read[np.minimum(np.arange(count), len(read) - 1)]


def _shrunk(frames, side):
    """The frames [F, H, W, 3] averaged to `side` pixels."""
    if frames.shape[1] == side:
        return frames
    return np.stack([cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA) for frame in frames])
