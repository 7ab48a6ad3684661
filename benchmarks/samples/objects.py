"""The lit object of a frame by its pixels alone: whether it is one whole thing of a colour, and its outline for the classifier."""
import dataclasses

import cv2
import numpy as np

from benchmarks.studies.measures.templates import COLOURS, LIT

SIDE = 16  # pixels of a crop
WINDOW = 0.5  # frame widths that a crop shows: a sprite's radius is at most 0.22
LIT_ENOUGH = 0.5  # matte from which a pixel is lit: 0 is the background, 1 a sprite
AREA = (0.025, 0.19)  # squares of the frame's width: the smallest triangle has 0.037, the largest disc 0.152
MAX_REST = 0.2  # lit pixels beside the object, of the object's
MIN_COLOUR = 0.8  # share of the object's pixels that are nearest to one colour


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objects:
    """The objects of N clips of F frames.

    whole: bool [N, F], one thing is lit there, as large as a sprite, and of the expected colour. crops: float32 [N, F, 16, 16] in [0, 1],
    its matte around its centre, whatever its colour; 0 where nothing is lit. centres: [N, F, 2] as (x, y) in frame widths, NaN there.
    """
    whole: np.ndarray
    crops: np.ndarray
    centres: np.ndarray


def find_objects(frames, colour, near):
    """The Objects of frames [N, F, H, W, 3] in 0..255, H = W. colour: int [N] into COLOURS; near: [N, F, 2], where each is looked for."""
    found = [[_object(frame, one, place) for frame, place in zip(clip, places, strict=True)]
             for clip, one, places in zip(frames, colour, near, strict=True)]
    pick = lambda place, dtype: np.array([[row[place] for row in rows] for rows in found], dtype)
    return Objects(whole=pick(0, bool), crops=pick(1, np.float32), centres=pick(2, np.float32))


def matte_of(frame):
    """(matte float32 [H, W], colour int [H, W]) of a frame [H, W, 3].

    A pixel's distance from the background (the median of the frame) goes to the colour whose direction is nearest; the matte is the
    distance along it, in [0, 1], 1 at the brightness of a sprite.
    """
    pixels = frame.astype(np.float32)
    ground = np.median(pixels, axis=(0, 1))
    lines = LIT * COLOURS - ground  # [6, 3]
    length = np.maximum(np.linalg.norm(lines, axis=-1), 1)
    along = (pixels - ground) @ (lines / length[:, None]).T
    best = along.argmax(-1)
    return np.clip(np.take_along_axis(along, best[..., None], -1)[..., 0] / length[best], 0, 1), best


def _object(frame, colour, near):
    """(whole, crop, centre) of one frame."""
    size = frame.shape[-2]
    matte, best = matte_of(frame)
    _, labels, stats, centres = cv2.connectedComponentsWithStats((matte > LIT_ENOUGH).astype(np.uint8), connectivity=8)
    if len(stats) == 1:
        return False, np.zeros((SIDE, SIDE), np.float32), np.full(2, np.nan)
    label = _nearest(labels, near * size)
    inside, area = labels == label, stats[label, cv2.CC_STAT_AREA]
    rest = stats[1:, cv2.CC_STAT_AREA].sum() - area
    whole = (AREA[0] <= area / size**2 <= AREA[1] and rest <= MAX_REST * area and (best[inside] == colour).mean() >= MIN_COLOUR)
    centre = (centres[label] + 0.5) / size
    return whole, _crop(np.where((labels == label) | (labels == 0), matte, 0), centre), centre


def _nearest(labels, place):
    """The label with most pixels within half a window of the place (x, y) in pixels, or of all where none is near."""
    down, right = np.indices(labels.shape)
    close = np.hypot(right + 0.5 - place[0], down + 0.5 - place[1]) < WINDOW / 2 * labels.shape[0]
    counts = np.bincount(labels[close & (labels > 0)], minlength=1)
    counts = counts if counts.sum() else np.bincount(labels[labels > 0])
    return int(counts.argmax())


def _crop(matte, centre):
    """[16, 16] of WINDOW around the centre in frame widths, each pixel the mean of four points between which the matte is linear."""
    places = (np.arange(2 * SIDE, dtype=np.float32) + 0.5) / (2 * SIDE) - 0.5
    x, y = ((place * WINDOW + middle) * matte.shape[0] - 0.5 for place, middle in zip((places, places), centre, strict=True))
    maps = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    fine = cv2.remap(matte.astype(np.float32), *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return fine.reshape(SIDE, 2, SIDE, 2).mean((1, 3))
