"""Windows of a clip's frames at the training rate: from a cache of small decoded clips, or straight from the file."""
import dataclasses
import functools
import io
import os
import pathlib
import secrets

import numpy as np

from tqd_jax.clips.places import BadClip
from tqd_jax.clips.read import read_clip
from tqd_jax.data.rows import Rows

LONG = 150.0  # s; a longer clip is never decoded whole, which Limits would refuse at 133 frames a second


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrameStore:
    """Frames of the library's clips, `fps` a second, shrunk to cover a bucket.

    rows: the clips. folder: of decoded clips, uint8 .npy files named by content hash, rate and size; None
    decodes the window from the file each time, as is always done with long clips.
    """
    rows: Rows
    fps: float
    folder: str | None

    def window(self, clip, bucket, place):
        """uint8 [bucket.frames, h, w, 3] from `place` in [0, 1] of the room there is; the last frame is repeated where a clip ends early.

        Raises BadClip where the file cannot be decoded any more.
        """
        if self.folder is None or self.rows.duration[clip] > LONG:
            seconds, side = bucket.frames / self.fps, max(bucket.width, bucket.height)
            start = place * max(0.0, self.rows.duration[clip] - seconds)
            read = functools.partial(read_clip, self.rows.paths[clip], rate=self.fps, seconds=seconds, short_side=side)
            try:
                frames = read(start=start).frames
            except BadClip:  # the header may promise more than the file has: longer sound, a lost end
                frames = read(start=0.0).frames
        else:
            frames = self._from_cache(clip, bucket)
            start = int(place * (max(0, len(frames) - bucket.frames) + 1 - 1e-9))
            frames = frames[start:start + bucket.frames]
        return frames[np.minimum(np.arange(bucket.frames), len(frames) - 1)]

    def _from_cache(self, clip, bucket):
        side = max(bucket.width, bucket.height)
        path = pathlib.Path(self.folder, f'{int(self.rows.ids[clip]):016x}-{self.fps:g}-{side}.npy')
        if not path.exists():
            frames = read_clip(self.rows.paths[clip], rate=self.fps, short_side=side).frames
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f'.{path.stem}-{secrets.token_hex(4)}.part')  # two workers may want the same clip at once
            data = io.BytesIO()  # np.save to a file does not report a full disk
            np.save(data, frames)
            try:
                part.write_bytes(data.getbuffer())
                os.replace(part, path)
            finally:
                part.unlink(missing_ok=True)
        return np.load(path, mmap_mode='r')


def cache_bytes(library, buckets, fps):
    """About how many bytes the cache of a whole library takes: its clips' pixels at the buckets' sizes."""
    sides = np.array([max(b.width, b.height) for b in buckets])[library.bucket]
    short, long = np.minimum(library.width, library.height), np.maximum(library.width, library.height)
    side = np.minimum(sides, short)
    return float(np.sum(side * side * (long / short) * 3 * fps * library.duration))
