"""A library of grey clips and its cache; as a program, an encoding that kills itself when so many records are written.

    python tests/helpers/cached.py FOLDER RECORDS PROCESS PROCESSES
"""
import dataclasses
import os
import pathlib
import signal
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
from quick import quick_to_compile

from tqd_jax.cache.keys import LatentSettings, TextSettings, describe
from tqd_jax.cache.latents import encode_latents
from tqd_jax.cache.records import Limits, Writer
from tqd_jax.clips.content import content_id, content_number
from tqd_jax.clips.strings import Strings
from tqd_jax.clips.write import write_clip
from tqd_jax.data.buckets import Bucket
from tqd_jax.data.frames import FrameStore
from tqd_jax.data.library import Library
from tqd_jax.latents.pixels import PixelCodec
from tqd_jax.timesteps.quality import LawConfig
from transfer_jax.runtime.parallel.mesh import make_mesh

N, FPS, LENGTH = 6, 8.0, 16
BUCKETS = (Bucket(width=16, height=16, frames=4), Bucket(width=24, height=16, frames=4))
SETTINGS = LatentSettings(codec=describe(PixelCodec(), ''), fps=FPS, windows=2, crop='center', stored='float32')
TEXT = TextSettings(encoder='e', tokenizer='t', length=LENGTH, compute='float32', stored='bfloat16')
ON, OFF = types.SimpleNamespace(requested=True), types.SimpleNamespace(requested=False)


def write_clips(folder):
    """Six clips of 2 s; frame j of clip i has the level 32 i + 2 j, and a slope in x; the last two are wide."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(N):
        width = 48 if number >= 4 else 32
        levels = number * 32 + 2 * np.arange(16)[:, None, None, None] + np.arange(width)[None, None, :, None] // 4
        write_clip(folder / f'{number}.mp4', np.broadcast_to(levels, (16, 32, width, 3)).astype(np.uint8), FPS, crf=0, pix_fmt='yuv444p')
    return folder


def library(folder):
    """The Library of write_clips, with captions of which two are equal."""
    wide = np.arange(N) >= 4
    return Library(
        paths=Strings.of(str(folder / f'{number}.mp4') for number in range(N)),
        ids=_ids(folder),
        source=np.zeros(N, int), source_names=('web',), rates=np.ones(1), bucket=wide.astype(int), buckets=BUCKETS,
        acceptance=np.ones(N), weight=np.ones(N, np.float32), captions=Strings.of(['a cat', 'two dogs', '', 'a cat', 'one', 'long ' * 9]),
        tokens=np.zeros((N, 2), np.int32), law=LawConfig(), group=np.zeros(N, int), mq=np.linspace(0, 1, N), vq=np.linspace(1, 0, N),
        width=np.where(wide, 48, 32), height=np.full(N, 32), duration=np.full(N, 2.0))


def _ids(folder):
    """Of the clips' contents; any, where the clips are not written."""
    clips = [folder / f'{number}.mp4' for number in range(N)]
    return np.array([content_number(content_id(clip)) if clip.exists() else number for number, clip in enumerate(clips)], np.uint64)


def frames(rows):
    """The FrameStore of rows, which decodes from the files."""
    return FrameStore(rows=rows, fps=FPS, folder=None)


def encode(rows, cache, codec=PixelCodec(), params=None, **changes):
    """encode_latents of the rows on one device."""
    options = {'settings': SETTINGS, 'batch': 2, 'mesh': make_mesh(devices=jax.devices()[:1]), 'workers': 0, 'prefetch': 2, 'process': 0,
               'processes': 1, 'stop': OFF, 'limits': Limits(records=3)}
    return encode_latents(rows, frames(rows), codec, {} if params is None else params, cache, **options | changes)


@dataclasses.dataclass(frozen=True)
class Relative:
    """A codec: pixels over their mean, times a parameter; a black clip has no finite latents."""
    tile: int = 0
    chunk: int = 1

    def encode(self, params, video):
        """[B, F, H, W, 3]."""
        x = video.astype(jnp.float32)
        return params['gain'] * x / x.mean((1, 2, 3, 4), keepdims=True)


def main(folder, records, process, processes):
    """Encodes FOLDER/clips to FOLDER/cache, and dies where Writer.add was called so many times."""
    add, calls = Writer.add, []

    def deadly(writer, *arguments, **facts):
        add(writer, *arguments, **facts)
        calls.append(1)
        if len(calls) == records:
            os.kill(os.getpid(), signal.SIGKILL)
    Writer.add = deadly
    summary = encode(library(folder / 'clips'), folder / 'cache', process=process, processes=processes)
    print(summary.encoded, summary.found)


if __name__ == '__main__':
    with quick_to_compile():  # the bits of the tests' process
        main(pathlib.Path(sys.argv[1]), *map(int, sys.argv[2:]))
