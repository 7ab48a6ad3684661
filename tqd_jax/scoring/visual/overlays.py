"""Overlays of a clip: bars at its borders, and text or logos that stay while the picture moves."""
import cv2
import numpy as np

STRIP = 16  # pixels averaged along a line: a fourth of the noise is left
PLAIN = 4.0  # grey levels, of those averages, that a bar may differ by from its colour; encoders leave one or two
STRAIGHT = 0.5  # share of a bar's inner edge where the picture starts at once
STRAY = 0.02  # share of a bar's line that may differ
BLACK = 24.0  # luma of the lightest black; lighter bars are believed as a pair
EVEN = 0.02  # of the side, that the two of a pair may differ by
LEFT = 0.25  # share of the side that bars leave at least
SIDE = 270  # pixels of the shorter side that edges are looked for at
EDGE = 8.0  # grey levels a pixel: fainter edges may be noise
COHERENT = 0.9  # share of an edge's energy that its mean over time holds, if it stays
CELL = 6  # of those pixels a side, whose mean's change is looked at
CHANGE = 4.0  # grey levels from one frame to the next, in the median, of a cell that changes
MOVING = 0.45  # share of the cells that must change: else it may be the scene that stands still
DENSE = 0.2  # share of a text's neighbourhood that is edge
NEIGHBOURHOOD = 15  # pixels
MARGIN = 2  # of them, where a bar's edge may be


def overlays(lumas):
    """Raw measures of lumas float32 [F, H, W], spread over a clip: shares of the frame's area in [0, 1].

    letterbox: what black or plain bars cover, see inside_bars. overlay: what burnt-in text, logos and watermarks cover, or None where
    that cannot be told: less than 45 % of the picture changes, from one frame to the next, by more than 4 grey levels. An edge stays if
    |mean_t g|^2 >= 0.9 mean_t |g|^2, with g the gradient over frames t; an overlay is where more than a fifth of the pixels around are
    such edges. What a camera carries along, like the handlebars it is mounted on, is an overlay too.
    """
    rows, columns = inside_bars(lumas)
    picture = lumas[:, rows, columns]
    area = picture[0].size / lumas[0].size
    share = _overlay(picture)
    return {'letterbox': 1 - area, 'overlay': None if share is None else share * area}


def inside_bars(lumas):
    """Slices (rows, columns) of the picture inside its bars, from lumas float32 [F, H, W]; the whole frame where there are none.

    A bar lies along a border, has one colour in all frames, and ends in a straight line, where at least half of the picture differs from it
    at once in some frame: a dark scene ends anywhere. Bars that are not black count in pairs of the same size and colour.
    """
    rows = _between(np.stack([_means(luma, 1, STRIP) for luma in lumas]))
    columns = _between(np.stack([_means(luma[rows], STRIP, 1).T for luma in lumas]))
    return rows, columns


def _means(luma, height, width):
    """Means over blocks of pixels; what is left at the far borders is not looked at."""
    height, width = min(height, luma.shape[0]), min(width, luma.shape[1])
    rows, columns = luma.shape[0] // height, luma.shape[1] // width
    return cv2.resize(luma[:rows * height, :columns * width], (columns, rows), interpolation=cv2.INTER_AREA)


def _between(strips):
    """The slice of lines between a leading and a trailing bar of strips [F, lines, blocks]."""
    lines = strips.shape[1]
    (first, colour), (last, other) = _bar(strips), _bar(strips[:, ::-1])
    pair = abs(colour - other) <= PLAIN and abs(first - last) <= max(2, EVEN * lines)
    first, last = (size if pair or tone <= BLACK else 0 for size, tone in ((first, colour), (last, other)))
    return slice(first, lines - last) if lines - first - last >= LEFT * lines else slice(0, lines)


def _bar(strips):
    """(lines of the leading bar, its colour)."""
    colour = float(np.median(strips[:, 0]))
    differs = (np.abs(strips - colour) > PLAIN).any(axis=0)
    size = int(np.argmax(differs.mean(axis=1) > STRAY))  # 0 where none does: all is plain
    straight = differs[size:size + 3].any(axis=0).mean() >= STRAIGHT
    return (size if straight else 0), colour


def _overlay(lumas):
    """The share of the picture under overlays, or None."""
    small = [_shrink(luma) for luma in lumas]
    cells = np.stack([_means(luma, CELL, CELL) for luma in small])
    if len(lumas) < 2 or (np.median(np.abs(np.diff(cells, axis=0)), axis=0) > CHANGE).mean() < MOVING:
        return None
    mean, energy = _gradients(small)
    stays = (energy > EDGE**2) & (mean >= COHERENT * energy)
    stays[:MARGIN] = stays[-MARGIN:] = stays[:, :MARGIN] = stays[:, -MARGIN:] = False
    around = cv2.boxFilter(stays.astype(np.float32), -1, (NEIGHBOURHOOD, NEIGHBOURHOOD), borderType=cv2.BORDER_CONSTANT)
    return float((around > DENSE).mean())


def _shrink(luma):
    scale = min(1.0, SIDE / min(luma.shape))
    return cv2.resize(luma, [round(side * scale) for side in luma.shape[::-1]], interpolation=cv2.INTER_AREA)


def _gradients(lumas):
    """|mean_t g|^2 and mean_t |g|^2 [h, w], g in grey levels a pixel."""
    mean, energy = np.zeros((2, *lumas[0].shape), np.float32), np.zeros_like(lumas[0])
    for luma in lumas:
        for axis, total in zip(((1, 0), (0, 1)), mean, strict=True):
            slope = cv2.Sobel(luma, cv2.CV_32F, *axis, scale=1 / 8)
            cv2.accumulate(slope, total)
            cv2.accumulateSquare(slope, energy)
    return np.square(mean / len(lumas)).sum(axis=0), energy / len(lumas)
