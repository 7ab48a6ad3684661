"""Traces of a codec's blocks: jumps of luma at their borders."""
import numpy as np

DEBLOCKED = 1.0  # the trace of blocks that well-encoded video keeps, and nobody sees
FAINT = 0.25  # grey levels of a jump that rounding alone explains


def blockiness(lumas, block=8.0, start=(0, 0)):
    """{'blockiness'} of lumas float32 [F, H, W], the mean over frames: how much higher luma jumps at the borders of blocks.

    A jump is what a step exceeds the slopes beside it by; the mean of those at the borders of blocks of `block` pixels (8 in a file, fewer
    where it was shrunk) over the mean of those between other pixels, as a share of the latter, less 1 and less 1 more. 0 below two pixels.
    start: the row and the column of the frame that lumas begin at, where its bars were cut.
    """
    down, across = start
    return {'blockiness': float(np.mean([max(0.0, (_jumps(luma, block, across) + _jumps(luma.T, block, down)) / 2 - DEBLOCKED)
                                         for luma in lumas]))}


def _jumps(luma, block, start):
    """How much higher the jumps across the vertical borders of blocks are than those between other columns, as a share."""
    steps = np.abs(np.diff(luma, axis=1))
    jumps = np.maximum(0, steps[:, 1:-1] - np.maximum(steps[:, :-2], steps[:, 2:])).mean(axis=0)
    first = np.floor(start / block) + 1
    borders = block * np.arange(first, (start + luma.shape[1]) // block) - start - 2  # jump i is the one between columns i + 1 and i + 2
    borders = borders[(borders >= 0) & (borders <= len(jumps) - 1)]
    if block < 2 or not len(borders):
        return 0.0
    inside = np.ones(len(jumps), bool)
    inside[np.floor(borders).astype(int)] = inside[np.ceil(borders).astype(int)] = False
    usual = jumps[inside].mean() if inside.any() else 0.0
    return float((np.interp(borders, np.arange(len(jumps)), jumps).mean() - usual) / (usual + FAINT))
