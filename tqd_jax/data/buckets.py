"""Buckets: the shapes that batches have, and which of them a clip fills."""
import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bucket:
    """One shape of a batch: width and height in pixels, frames. Raises ValueError unless all are positive."""
    width: int
    height: int
    frames: int

    def __post_init__(self):
        if min(self.width, self.height, self.frames) < 1:
            raise ValueError(f'a bucket is (width, height, frames), all positive, got {dataclasses.astuple(self)}')


def assign_bucket(width, height, duration, buckets, fps):
    """Index of a clip's bucket: of those its duration fills, the nearest aspect ratio, then the most frames; None if none is filled."""
    fits = [i for i, b in enumerate(buckets) if (b.frames - 1) / fps <= duration + 1e-6]
    stretch = lambda b: abs(np.log((width / height) / (b.width / b.height)))
    return min(fits, key=lambda i: (round(stretch(buckets[i]), 6), -buckets[i].frames), default=None)
