"""Thumbnails of clips: a few frames of each, and a strip of them as a JPEG."""
import concurrent.futures
import functools

import cv2
import numpy as np

from tqd_jax.clips.display import probe
from tqd_jax.clips.places import BadClip
from tqd_jax.clips.read import read_clip

GREY = 128  # of what cannot be read
JPEG_QUALITY = 80
SPACING = 2.0  # s between frames, at most


def thumbnails(paths, count, side, workers=0):
    """A list of uint8 [count, h, w, 3], a clip each: `count` frames evenly spread, the longer side `side` pixels at most.

    They come from the first 2 s a frame, or all of a shorter clip: decoding up to the middle of a long one would cost hundreds of frames. A
    clip that cannot be read is a grey square. workers: threads, since decoding leaves the interpreter free; 0 is this one.
    """
    one = functools.partial(_frames, count=count, side=side)
    if not workers:
        return [one(path) for path in paths]
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return list(pool.map(one, paths))


def strip(frames, gap=2):
    """JPEG bytes of frames uint8 [F, h, w, 3] from left to right, `gap` mid-grey pixels apart."""
    padded = np.pad(frames, ((0, 0), (0, 0), (0, gap), (0, 0)), constant_values=GREY)
    row = np.concatenate(list(padded), axis=1)[:, :-gap]
    return cv2.imencode('.jpg', cv2.cvtColor(row, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def _frames(path, count, side):
    try:
        info = probe(path)
        short = max(1, round(side * min(info.width, info.height) / max(info.width, info.height)))
        step = min(SPACING, info.duration / count)
        frames = read_clip(path, rate=1 / step, start=step / 2, seconds=count * step, short_side=short).frames
        return frames[np.minimum(np.arange(count), len(frames) - 1)]  # a file may be shorter than it says
    except BadClip:
        return np.full((count, side, side, 3), GREY, np.uint8)
