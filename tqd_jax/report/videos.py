"""Clips of a run as a page shows them: WebM that every browser plays, a poster, and several clips as one video that keeps time."""
import math

import cv2
import numpy as np

from tqd_jax.clips.bad_clip import BadClip
from tqd_jax.clips.display import probe
from tqd_jax.clips.read import read_clip
from tqd_jax.clips.write import webm

WIDE = 640  # pixels of a page's video, at most: of all clips that stand side by side
TINY = 256  # a clip up to this side is enlarged by whole pixels
GAP, GREY = 4, 128  # between clips side by side
POSTER_QUALITY = 80


def add_video(page, paths, caption, labels=()):
    """Adds one video to a Page: the clips of the files `paths`, side by side. labels: a heading for each, or none.

    A file that is no video any more is a sentence in its place.
    """
    try:
        clips, fps = _read(paths)
    except (BadClip, OSError) as error:
        page.text(f'{caption}: it cannot be shown ({error}).')
        return
    clip = side_by_side(clips)
    page.video(webm(clip, fps), caption, poster=_poster(clip), labels=labels, pixelated=max(clips[0].shape[1:3]) <= TINY)


def side_by_side(clips):
    """One clip uint8 [F, H, W, 3] of clips [f, h, w, 3] in a row, at most WIDE pixels wide, of even sizes.

    Shorter ones stay at their last frame, lower ones stand on grey, and so are they divided.
    """
    clips = [_shrunk(clip, (WIDE - GAP * (len(clips) - 1)) // len(clips)) for clip in clips]
    frames, height = max(len(clip) for clip in clips), max(clip.shape[1] for clip in clips)
    filled = [_filled(clip, frames, height, GAP * (number > 0)) for number, clip in enumerate(clips)]
    row = np.concatenate(filled, axis=2)
    return np.pad(row, ((0, 0), (0, row.shape[1] % 2), (0, row.shape[2] % 2), (0, 0)), mode='edge')


def _read(paths):
    """([uint8 frames [f, h, w, 3]], frames a second of the first)."""
    fps = probe(paths[0]).fps
    return [read_clip(path, rate=fps).frames for path in paths], fps


def _shrunk(clip, width):
    if clip.shape[2] <= width:
        return clip
    size = width, max(1, math.floor(clip.shape[1] * width / clip.shape[2]))
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in clip])


def _filled(clip, frames, height, gap):
    clip = np.concatenate([clip, clip[-1:].repeat(frames - len(clip), axis=0)])
    return np.pad(clip, ((0, 0), (0, height - clip.shape[1]), (gap, 0), (0, 0)), constant_values=GREY)


def _poster(clip):
    """The frame in the middle as a JPEG."""
    options = [cv2.IMWRITE_JPEG_QUALITY, POSTER_QUALITY]
    return cv2.imencode('.jpg', np.ascontiguousarray(clip[len(clip) // 2][..., ::-1]), options)[1].tobytes()
