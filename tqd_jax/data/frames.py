"""Windows of a clip's frames at the training rate, cropped to a bucket: from a cache of small decoded clips, or straight from the file."""
import dataclasses
import functools
import io
import math
import os
import pathlib
import re
import secrets
from typing import Protocol

import numpy as np

from tqd_jax.clips.bad_clip import BadClip
from tqd_jax.clips.pictures.options import PictureOptions
from tqd_jax.data.rows import Rows

LONG = 150.0  # s; a longer clip is never decoded whole, which Limits would refuse at 133 frames a second


class Examples(Protocol):
    """What a Loader reads clips from: frames of the files, or latents that were encoded beforehand. Picklable."""

    def example(self, clip, bucket, place):
        """One example of the row `clip`, as Batch.video has it without its leading axis, from `place`.

        bucket: of that row. place: float64 [3] in [0, 1], of the room that there is in time, x and y.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrameStore:
    """Frames of the library's clips, `fps` a second, shrunk to cover a bucket.

    rows: the clips. folder: of decoded clips, uint8 .npy files named by content hash, rate, size, and version of the pictures; None
    decodes the window from the file each time, as is always done with long clips. options: how pictures are made of frames.
    """
    rows: Rows
    fps: float
    folder: str | None
    options: PictureOptions = PictureOptions()

    def window(self, clip, bucket, place):
        """uint8 [bucket.frames, h, w, 3] from `place` in [0, 1] of the room there is; the last frame is repeated where a clip ends early.

        Raises BadClip where the file cannot be decoded any more.
        """
        if self.folder is None or self.rows.duration[clip] > LONG:
            seconds, side = bucket.frames / self.fps, max(bucket.width, bucket.height)
            start = place * max(0.0, self.rows.duration[clip] - seconds)
            read = functools.partial(decode, self.rows.paths[clip], rate=self.fps, seconds=seconds, short_side=side,
                                     options=self.options)
            try:
                frames = read(start=start).frames
            except BadClip:  # the header may promise more than the file has: longer sound, a lost end
                frames = read(start=0.0).frames
        else:
            frames = self._from_cache(clip, bucket)
            start = int(place * (max(0, len(frames) - bucket.frames) + 1 - 1e-9))
            frames = frames[start:start + bucket.frames]
        return frames[np.minimum(np.arange(bucket.frames), len(frames) - 1)]

    def example(self, clip, bucket, place):
        """uint8 [bucket.frames, bucket.height, bucket.width, 3] from `place` [3] in [0, 1] of the room there is in time, x and y.

        Raises BadClip as window does.
        """
        return crop(self.window(clip, bucket, place[0]), bucket, place[1], place[2])

    def _from_cache(self, clip, bucket):
        side = max(bucket.width, bucket.height)
        path = pathlib.Path(self.folder, f'{int(self.rows.ids[clip]):016x}-{self.fps:g}-{side}-{self.options.version}.npy')
        if not path.exists():
            frames = decode(self.rows.paths[clip], rate=self.fps, short_side=side, options=self.options).frames
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f'.{path.stem}-{secrets.token_hex(4)}.part')  # two workers may want the same clip at once
            data = io.BytesIO()  # np.save to a file does not report a full disk
            np.save(data, frames)
            try:
                part.write_bytes(data.getbuffer())
                os.replace(part, path)
            finally:
                part.unlink(missing_ok=True)
        return open_frames(path)


def decode(path, **window):
    """read_clip; the decoder, 35 MB, is imported by a worker that decodes."""
    from tqd_jax.clips.read import read_clip
    return read_clip(path, **window)


def open_frames(path):
    """uint8 [F, H, W, 3] of a .npy file of the cache, mapped into memory; several threads may call it at once.

    np.load parses the header with ast, which in Python 3.11 raises SystemError where another thread parses at the same moment.
    """
    with open(path, 'rb') as file:
        shape = tuple(map(int, re.search(rb"'shape': \(([\d, ]+)\)", file.read(256))[1].split(b',')))
    return np.memmap(path, np.uint8, 'r', offset=path.stat().st_size - math.prod(shape), shape=shape)


def picture_options(data):
    """The PictureOptions of config.data."""
    return PictureOptions(background=data.background, deinterlace=data.deinterlace)


def crop(frames, bucket, x, y):
    """The bucket's width x height out of frames [F, H, W, 3], scaled to cover it, at x and y in [0, 1] of the room there is."""
    height, width = frames.shape[1:3]
    scale = max(bucket.width / width, bucket.height / height)
    size = max(bucket.width, round(width * scale)), max(bucket.height, round(height * scale))
    if size != (width, height):
        import cv2  # 17 MB that a worker of latents, and of frames that fit, never needs
        filter_ = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        frames = np.stack([cv2.resize(frame, size, interpolation=filter_) for frame in frames])
    left, top = int(x * (size[0] - bucket.width + 1 - 1e-9)), int(y * (size[1] - bucket.height + 1 - 1e-9))
    return frames[:, top:top + bucket.height, left:left + bucket.width]


def cache_bytes(library, buckets, fps):
    """About how many bytes the cache of a whole library takes: its clips' pixels at the buckets' sizes."""
    sides = np.array([max(b.width, b.height) for b in buckets])[library.bucket]
    short, long = np.minimum(library.width, library.height), np.maximum(library.width, library.height)
    side = np.minimum(sides, short)
    return float(np.sum(side * side * (long / short) * 3 * fps * library.duration))
