"""Where the picture lies within its bars: plain ones, and borders of any pattern that end in a straight line on both sides."""
import cv2
import numpy as np

STRIP = 16  # pixels averaged along a line: a fourth of the noise is left
PLAIN = 4.0  # grey levels, of those averages, that a bar may differ by from its colour; encoders leave one or two
STRAIGHT = 0.5  # share of a bar's inner edge where the picture starts at once
STRAY = 0.02  # share of a bar's line that may differ
BLACK = 24.0  # luma of the lightest black; lighter bars are believed as a pair
EVEN = 0.02  # of the side, that the two of a pair may differ by
LITTERED = 0.35  # share of a bar, in any frame, that text over it may cover, where the bar that faces it is plain
LEFT = 0.25  # share of the side that bars leave at least
STEP = 5.0  # grey levels, mean over time, within two pixels across the inner edge of a patterned border
EDGED = 0.7  # share of its inner edge with such a step, on both sides
WIDEST, NARROWEST = 0.3, 0.02  # of the side, of a patterned border
RESTS = 2.5  # grey levels, standard deviation over time, that a patterned border changes by
ROUND = 4  # lines that the two ways to find an edge may differ by
SMALLEST = 120  # lines in which a patterned border can be told from a pattern of the scene
ALONE = 0.5  # share of the side that lines further inside may have a step along: else they are a pattern of the scene


def inside_bars(lumas):
    """Slices (rows, columns) of the picture inside its bars, from lumas float32 [F, H, W]; the whole frame where there are none.

    A plain bar lies along a border, has one colour in all frames, and ends in a straight line, where at least half of the picture differs
    from it at once in some frame: a dark scene ends anywhere. Text may cover a bar, and a dark scene hide its end, where a bar of the same
    colour faces it. Bars that are not black count in pairs of the same size and colour. Bars of a gradient or a pattern count in pairs of
    one size that rest while the picture may move, and end on both sides in a straight line: a step
    of 5 grey levels, in the mean over time, along 70 % of the side, with none like it further inside.
    """
    rows = _between(np.stack([means(luma, 1, STRIP) for luma in lumas]))
    columns = _between(np.stack([means(luma[rows], STRIP, 1).T for luma in lumas]))
    return rows, columns


def means(luma, height, width):
    """Means over blocks of pixels; what is left at the far borders is not looked at."""
    height, width = min(height, luma.shape[0]), min(width, luma.shape[1])
    rows, columns = luma.shape[0] // height, luma.shape[1] // width
    return cv2.resize(luma[:rows * height, :columns * width], (columns, rows), interpolation=cv2.INTER_AREA)


def _between(strips):
    """The slice of lines between a leading and a trailing bar of strips [F, lines, blocks]."""
    lines = strips.shape[1]
    (first, colour), (last, other) = _bar(strips), _bar(strips[:, ::-1])
    if abs(colour - other) <= PLAIN:
        first, last = max(first, _facing(strips, last, colour)), max(last, _facing(strips[:, ::-1], first, colour))
    pair = abs(colour - other) <= PLAIN and abs(first - last) <= max(2, EVEN * lines)
    first, last = (size if pair or tone <= BLACK else 0 for size, tone in ((first, colour), (last, other)))
    border = _patterned(strips)
    if border > max(first, last) + ROUND:
        first = last = border
    return slice(first, lines - last) if lines - first - last >= LEFT * lines else slice(0, lines)


def _bar(strips):
    """(lines of the leading bar, its colour)."""
    colour = float(np.median(strips[:, 0]))
    differs = (np.abs(strips - colour) > PLAIN).any(axis=0)
    size = int(np.argmax(differs.mean(axis=1) > STRAY))  # 0 where none does: all is plain
    straight = differs[size:size + 3].any(axis=0).mean() >= STRAIGHT
    return (size if straight else 0), colour


def _facing(strips, size, colour):
    """`size` where so many leading lines may be the bar that faces another one: a dark scene or text over it hides its straight end."""
    differs = np.abs(strips[:, :size] - colour) > PLAIN
    return size if size and differs.mean(axis=(1, 2)).max() <= LITTERED else 0


def _patterned(strips):
    """Lines of a border of any pattern, the same on both sides; 0 where there is none."""
    lines = strips.shape[1]
    low, high = max(4, round(NARROWEST * lines)), round(WIDEST * lines)
    if lines < SMALLEST or len(strips) < 2:
        return 0
    mean = strips.mean(axis=0)
    edged = np.pad((np.abs(mean[2:] - mean[:-2]) >= STEP).mean(axis=1), 1)  # of a step between the lines around this one
    near = np.maximum(edged, np.maximum(np.roll(edged, 1), np.roll(edged, -1)))
    share = np.minimum(near, near[::-1])[:lines // 2]
    straight = np.flatnonzero(share[low:high] >= EDGED)
    if not straight.size:
        return 0
    size = low + int(straight[-1])  # the innermost: an ornament has lines of its own
    rests = strips[:, list(range(size - 1)) + list(range(lines - size + 1, lines))].std(axis=0)
    return size + 1 if share[size + 3:].max() <= ALONE and np.quantile(rests, 0.9) <= RESTS else 0
