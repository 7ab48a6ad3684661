"""Text by its form, in a picture that moves or rests: thin strokes of one tone, many of them, in all directions, against what is around."""
import cv2
import numpy as np

from tqd_jax.scoring.visual.burnt_in.bars import means

SMALLEST = 120  # pixels of the shorter side in which text can be told
STROKE = np.ones((9, 9), np.uint8)  # wider than a stroke
CORE = np.ones((3, 3), np.uint8)
FAINTEST = 32  # grey levels that a stroke stands out by
CLEAR = 60.0  # and on average in a window
CELL, WINDOW = 5, 5  # pixels a cell, cells a window
TONE, TONES = 12, 22  # grey levels of a bin of tones, and their number; strokes of one tone lie in two neighbours
DENSITY = 0.025  # of a window's pixels, that are the tops of strokes of one tone
PURE = 0.5  # share of the tops of strokes in a window that have that tone
STRAIGHT = 0.6  # coherence of gradients above which there are but lines of one direction: rails, stripes, edges
LEAST = 6  # cells of a text


def text_contrast(luma):
    """(how many grey levels the strokes of text stand out by, 0 where there is none; tops of any strokes a pixel), float32 [h, w] each of
    cells of 5 pixels.

    luma float32 [H, W], at about 270 pixels a shorter side. Strokes are what a morphological opening (or closing, of dark ones) by 9 pixels
    takes away. Text is where, in a window of 25 pixels, 2.5 % of the pixels are tops of strokes of one tone, half of all tops have that
    tone, they stand out by 60 grey levels on average, and gradients have no one direction. Printed words in the scene are text as well.
    """
    shape = luma.shape[0] // CELL, luma.shape[1] // CELL
    if min(luma.shape) < SMALLEST:
        return np.zeros((2, *shape), np.float32)
    grey = np.clip(luma, 0, 255).astype(np.uint8)
    (bright, tops), (dark, bottoms) = _bright(grey, shape), _bright(255 - grey, shape)
    contrast, strokes = np.maximum(bright, dark), (tops + bottoms) / CELL**2
    if not contrast.any():
        return contrast, strokes
    contrast[_coherence(luma) >= STRAIGHT] = 0
    _, labels, sizes, _ = cv2.connectedComponentsWithStats((contrast > 0).astype(np.uint8), connectivity=8)
    contrast[sizes[labels, cv2.CC_STAT_AREA] < LEAST] = 0
    return contrast, strokes


def _bright(grey, shape):
    """The contrast of bright strokes in windows around cells, where there are enough of one tone, and the tops of all a cell."""
    above = cv2.subtract(grey, cv2.morphologyEx(grey, cv2.MORPH_OPEN, STROKE))
    top = ((above > FAINTEST) & (grey >= cv2.dilate(grey, CORE)))[:shape[0] * CELL, :shape[1] * CELL]
    y, x = np.nonzero(top)
    if not len(y):
        return np.zeros((2, *shape), np.float32)
    cell, size = y // CELL * shape[1] + x // CELL, shape[0] * shape[1]
    sums = np.stack([np.bincount(cell, minlength=size), np.bincount(cell, above[y, x], size)], -1).reshape(*shape, 2).astype(np.float32)
    count, contrast = cv2.split(_window(sums))
    contrast /= np.maximum(count, 1e-9)
    text = (count > DENSITY * CELL**2) & (contrast > CLEAR)
    if text.any():
        one_tone = _one_tone(cell, grey[y, x] // TONE, shape)
        text &= (one_tone > DENSITY * CELL**2) & (one_tone > PURE * count)
    return np.where(text, contrast, 0).astype(np.float32), count


def _one_tone(cell, tone, shape):
    """Tops of strokes a cell [h, w], in the mean of a window, of the tone that has most."""
    counts = np.bincount(cell * TONES + tone, minlength=shape[0] * shape[1] * TONES).reshape(*shape, TONES).astype(np.float32)
    counts[..., 1:] += counts[..., :-1].copy()
    used = np.flatnonzero(counts.any(axis=(0, 1)))
    parts = (np.atleast_3d(_window(np.ascontiguousarray(counts[..., used[i:i + 4]]))).max(axis=-1) for i in range(0, len(used), 4))
    return np.maximum.reduce(list(parts))


def _window(values):
    return cv2.boxFilter(values, -1, (WINDOW, WINDOW), borderType=cv2.BORDER_CONSTANT)


def _coherence(luma):
    """In [0, 1] for cells: 1 where all gradients of a window have one direction, by the structure tensor."""
    across, down = (cv2.Sobel(luma, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1)))
    xx, yy, xy = (cv2.boxFilter(means(part, CELL, CELL), -1, (WINDOW, WINDOW)) for part in (across * across, down * down, across * down))
    return np.sqrt((xx - yy) ** 2 + 4 * xy**2) / (xx + yy + 1)
