"""A world's clips, rendered once on all cores and saved in a folder."""
import concurrent.futures
import dataclasses
import functools
import multiprocessing
import os
import pathlib
import zlib

import numpy as np

from benchmarks.studies.world.clips import make_clips
from benchmarks.studies.world.world import Clips
from transfer_jax.runtime.parallel.cores import cores

MAX_ALONE = 256  # clips up to which processes take longer to start than to render


def library(world, folder):
    """make_clips(world), read from the folder or rendered and saved there; processes render many clips."""
    path = pathlib.Path(folder) / f'{zlib.crc32(repr(world).encode()):08x}.npz'
    if path.exists():
        with np.load(path) as arrays:
            return Clips(**arrays)
    clips = concatenate(render_parts(world))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix('.tmp.npz')
    np.savez(temporary, **{field.name: getattr(clips, field.name) for field in dataclasses.fields(Clips)})
    os.replace(temporary, path)
    return clips


def render_parts(world):
    """The world's Clips in parts, in order."""
    workers = cores()
    if world.clips <= MAX_ALONE or workers == 1:
        return [make_clips(world)]
    parts = np.array_split(np.arange(world.clips), 4 * workers)
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context('spawn')) as pool:
        return list(pool.map(functools.partial(make_clips, world), parts))


def concatenate(parts):
    """Several Clips as one."""
    return Clips(**{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in dataclasses.fields(Clips)})
