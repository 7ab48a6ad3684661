"""Rendered clips in memory, and crops of them: a function of seed and step alone."""
import numpy as np
from jaxtyping import UInt8

from tqd_jax.clips.read import read_clip
from tqd_jax.clips.render import render_library
from tqd_jax.pretrain_vae.settings import Phase
from transfer_jax.runtime.keys import host_generator
from transfer_jax.runtime.paths import AnyPath, path_of

FPS = 12


def rendered_clips(folder: AnyPath, clips: int, seed: int) -> UInt8[np.ndarray, 'clips frames height width 3']:
    """The frames of a rendered library of 64 x 64 x 24, which is written to `folder` first unless it is there."""
    manifest = render_library(folder, clips=clips, seed=seed, fps=FPS)
    files = sorted((path_of(manifest).parent / 'clips').iterdir())
    return np.stack([read_clip(str(file), rate=FPS).frames for file in files])


def crops(clips: UInt8[np.ndarray, 'clips frames height width 3'], phase: Phase, seed: int, step: int) -> np.ndarray:
    """uint8 [batch, frames, side, side, 3]: crops at random places in time and space of random clips."""
    rng = host_generator(seed, 'crops', step)
    limits = [size - part + 1 for size, part in zip(clips.shape[1:4], (phase.frames, phase.side, phase.side), strict=True)]
    places = rng.integers(0, [len(clips), *limits], (phase.batch, 4))
    return np.stack([clips[i, t:t + phase.frames, y:y + phase.side, x:x + phase.side] for i, t, y, x in places])
