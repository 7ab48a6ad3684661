"""Overlays of a clip: bars at its borders, and text, logos or watermarks over it."""
import cv2
import numpy as np

from tqd_jax.scoring.visual.burnt_in.bars import inside_bars
from tqd_jax.scoring.visual.burnt_in.fixed_edges import fixed_edges
from tqd_jax.scoring.visual.burnt_in.text import CELL, text_contrast

SIDE = 270  # pixels of the shorter side that overlays are looked for at
STRONG = 130.0  # grey levels: strokes that stand out by more hide what is under them, and their outlines or box with them
WORD, LINE = 16, 30  # such cells of a text, at least, and cells of any text in one line
CALM, RESTLESS = 0.15, 0.4  # strokes around a line, and around strong text, as a share of its own
RING = 13  # cells a side of where they are asked
MOST = 100  # texts of a frame that are looked at
FULL = 0.4  # share of the box around a text that its cells fill
OFTEN = 0.3  # share of the frames in which text is in the same place, give or take a cell
GROWN = 5  # cells a side around a cell of text that its outline, shadow or box may cover
PLAIN = 12.0  # grey levels between the darkest and the brightest pixel of a cell of a band
MOSTLY = 0.5  # share of a text's lines that are plain where its band is
BAND = 0.3  # share of a line of cells under text, from which on it is a band


def overlays(lumas):
    """Raw measures of lumas float32 [F, H, W], spread over a clip: shares of the frame's area in [0, 1].

    letterbox: what bars cover, see burnt_in.bars. overlay: what burnt-in text, logos and watermarks cover, or None where that cannot be
    told: nothing was found, and less than 45 % of the picture changes; see covered.
    """
    rows, columns = inside_bars(lumas)
    picture = lumas[:, rows, columns]
    area = picture[0].size / lumas[0].size
    share, _ = covered(picture)
    return {'letterbox': 1 - area, 'overlay': None if share is None else share * area}


def covered(lumas):
    """(the share of the picture under overlays or None, where they hide it: bool [F, h, w] at about 270 pixels a shorter side).

    Found are edges that stay while the picture behind them moves (burnt_in.fixed_edges), and text by its form (burnt_in.text) that is in
    one place in three of ten frames: subtitles, tickers and clocks change, and stay where they are. Hidden is what is under such edges if
    all of the picture moves, and around text that stands out by 130 grey levels, as white in a black outline, in a box or on a band does,
    or that is a line: thinner and smaller strokes add no detail, see detail.
    """
    small = np.stack([_shrink(luma) for luma in lumas])
    if min(small.shape[1:]) < CELL:
        return None, np.zeros(small.shape, bool)
    fixed, moves = fixed_edges(small)
    contrast, strokes = (np.stack(maps) for maps in zip(*(text_contrast(luma) for luma in small), strict=True))
    often = np.mean([cv2.dilate((one > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) for one in contrast], axis=0) >= OFTEN
    contrast = np.where(often, contrast, 0)
    letters = (cv2.erode((one > 0).astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))) for one in contrast)
    share = float(np.mean([(fixed | _full(cells, fixed.shape)).mean() for cells in letters]))
    hidden = np.stack([(fixed & moves) | _full(_around(*maps), fixed.shape)
                       for maps in zip(contrast, strokes, (_plain(luma, strokes.shape[1:]) for luma in small), strict=True)])
    return (share if moves or share else None), hidden


def _around(contrast, strokes, plain):
    """Cells [h, w] that text and what belongs to it cover: GROWN cells around, and the band under a line of it.

    Text is STRONG in WORD cells, or a line of LINE cells, twice as wide as it is high, among CALM surroundings: what looks like text where
    all is full of strokes, as in trees, may be none, and adds nothing there.
    """
    hides = np.zeros(contrast.shape, np.uint8)
    for cells, least, shape, calm in ((contrast > STRONG, WORD, 0, RESTLESS), (contrast > 0, LINE, 2, CALM)):
        _, labels, boxes, _ = cv2.connectedComponentsWithStats(cells.astype(np.uint8), connectivity=8)
        area, wide, high = (boxes[:, column] for column in (cv2.CC_STAT_AREA, cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT))
        for number in np.flatnonzero((area >= least) & (area >= FULL * wide * high) & (wide >= shape * high))[:MOST]:
            this = (labels == number).astype(np.uint8)
            near = cv2.dilate(this, np.ones((RING, RING), np.uint8)) > cv2.dilate(this, np.ones((GROWN, GROWN), np.uint8))
            if number and strokes[near].sum() <= calm * near.sum() * strokes[this > 0].mean():
                hides |= this
    return _with_bands(cv2.dilate(hides, np.ones((GROWN, GROWN), np.uint8)), hides, plain)


def _with_bands(hidden, text, plain):
    """hidden [h, w] with all that lies between the ends of lines that are full of it, and beyond the ends as long as cells are plain: the
    band under the text. The rest of such a line may be the scene."""
    for rows in _runs(hidden.mean(axis=1) > BAND):
        first, last = np.flatnonzero(hidden[rows].any(axis=0))[[0, -1]]
        written = text[rows].any(axis=1)
        ends = (plain[rows][written] if written.any() else plain[rows]).mean(axis=0) < MOSTLY
        left, right = np.flatnonzero(ends[:first]), np.flatnonzero(ends[last + 1:])
        edge = GROWN // 2
        hidden[rows, (max(0, left[-1] + 1 - edge) if left.size else 0):(last + 1 + right[0] + edge if right.size else None)] = 1
    return hidden


def _runs(lines):
    """Slices of neighbouring lines that are true."""
    borders = np.flatnonzero(np.diff(np.concatenate([[0], lines.astype(np.int8), [0]])))
    return [slice(*pair) for pair in borders.reshape(-1, 2)]


def _plain(luma, shape):
    """bool [h, w]: cells whose luma has next to no range."""
    cells = luma[:shape[0] * CELL, :shape[1] * CELL].reshape(shape[0], CELL, shape[1], CELL)
    return np.ptp(cells, axis=(1, 3)) <= PLAIN


def _shrink(luma):
    scale = min(1.0, SIDE / min(luma.shape))
    return cv2.resize(luma, [round(side * scale) for side in luma.shape[::-1]], interpolation=cv2.INTER_AREA)


def _full(cells, shape):
    """bool [H, W] of cells [h, w]."""
    return cv2.resize(cells.astype(np.uint8), shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
