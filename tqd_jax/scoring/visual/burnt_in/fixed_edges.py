"""Edges that stay while the picture behind them moves: logos, watermarks, text, frames."""
import cv2
import numpy as np

from tqd_jax.scoring.visual.burnt_in.bars import means

EDGE = 8.0  # grey levels a pixel: fainter edges may be noise
COHERENT = 0.9  # share of an edge's energy that its mean over time holds, if it stays
CELL = 6  # pixels a side of a cell whose mean's change is looked at
CHANGE = 4.0  # grey levels from one frame to the next, in the median, of a cell that changes
MOVING = 0.45  # share of the cells that must change for an edge to count that lies among cells that rest
SMALLEST = 120  # pixels of the shorter side in which a part that moves is more than a thing that passes
DENSE = 0.2  # share of a text's neighbourhood that is edge
NEIGHBOURHOOD = 15  # pixels
MARGIN = 2  # pixels at the border, where a bar's edge may be


def fixed_edges(lumas):
    """(bool [H, W]: where more than a fifth of the pixels around are edges that stay, whether the whole picture moves), of lumas [F, H, W].

    An edge stays if |mean_t g|^2 >= 0.9 mean_t |g|^2, with g the gradient over frames t. It counts where the picture changes around it
    from one frame to the next, by more than 4 grey levels in the median, or everywhere if 45 % of the picture does: else it may be the
    scene that stands still. What a camera carries along, like the handlebars it is mounted on, counts too.
    """
    if len(lumas) < 2:
        return np.zeros(lumas.shape[1:], bool), False
    cells = np.stack([means(luma, CELL, CELL) for luma in lumas])
    changes = np.median(np.abs(np.diff(cells, axis=0)), axis=0) > CHANGE
    mean, energy = _gradients(lumas)
    stays = (energy > EDGE**2) & (mean >= COHERENT * energy)
    stays[:MARGIN] = stays[-MARGIN:] = stays[:, :MARGIN] = stays[:, -MARGIN:] = False
    whole = bool(changes.mean() >= MOVING)
    if not whole and min(lumas.shape[1:]) < SMALLEST:
        stays[:] = False
    elif not whole:
        stays &= cv2.resize(changes.astype(np.uint8), stays.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    around = cv2.boxFilter(stays.astype(np.float32), -1, (NEIGHBOURHOOD, NEIGHBOURHOOD), borderType=cv2.BORDER_CONSTANT)
    return around > DENSE, whole


def _gradients(lumas):
    """|mean_t g|^2 and mean_t |g|^2 [h, w], g in grey levels a pixel."""
    mean, energy = np.zeros((2, *lumas[0].shape), np.float32), np.zeros_like(lumas[0])
    for luma in lumas:
        for axis, total in zip(((1, 0), (0, 1)), mean, strict=True):
            slope = cv2.Sobel(luma, cv2.CV_32F, *axis, scale=1 / 8)
            cv2.accumulate(slope, total)
            cv2.accumulateSquare(slope, energy)
    return np.square(mean / len(lumas)).sum(axis=0), energy / len(lumas)
