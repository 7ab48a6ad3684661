"""Halos: how far the mean profile of edges overshoots, as sharpening and ringing make it."""
import cv2
import numpy as np

REACH = 10  # pixels to each side of an edge
LOBE = 6  # pixels from an edge within which it may overshoot; what is beyond is level
ENDS = 3  # pixels at the end of a profile whose mean is the level there
STEP = 16.0  # grey levels of the faintest edge
MOST = 2000  # edges of a frame along an axis
USED = 60.0  # grey levels of a step beyond which it has no more say
SMALLEST = 96  # pixels of the shorter side in which there is room for profiles
ENOUGH = 50 * USED  # summed steps of the edges that must be there
EVERY = 3  # so many frames are one that is looked at


def halos(lumas, smooth):
    """{'halos'}: by what share of its step the mean edge overshoots and falls back, both sides added, from lumas float32 [F, H, W]; >= 0.

    smooth [F, h, w]: the same pictures without thin structures, of any size: an edge is where the slope of these, along an axis, is highest
    among five pixels. Profiles of 21 pixels of the luma across the edges, from dark to bright, each set to 0 and 1 at its ends, are
    averaged by their steps: textures cancel, and what is on the dark or the bright side of every edge remains. A
    blurred edge, or one as a lens makes it, rises from end to end.
    """
    if min(lumas.shape[1:]) < SMALLEST:
        return {'halos': 0.0}
    total, weight = np.zeros(2 * REACH + 1), 0.0
    for luma, plain in zip(lumas[::EVERY], smooth[::EVERY], strict=True):
        plain = cv2.resize(plain, luma.shape[::-1], interpolation=cv2.INTER_LINEAR)
        for picture, guide in ((luma, plain), (np.ascontiguousarray(luma.T), np.ascontiguousarray(plain.T))):
            profile, steps = _profile(picture, guide)
            total, weight = total + profile, weight + steps
    if weight < ENOUGH:
        return {'halos': 0.0}
    mean = total / weight
    return {'halos': _overshoot(mean[REACH + 1:]) + _overshoot(1 - mean[REACH - 1::-1])}


def _overshoot(side):
    """How far the profile of one side of an edge, from the edge outwards, falls again after it has risen."""
    return float(np.max(side[:LOBE] - np.minimum.accumulate(side[::-1])[::-1][:LOBE]))


def _profile(luma, guide):
    """(the sum of the profiles across edges along the rows, dark to bright, each times its step, [2 REACH + 1], the sum of the steps)."""
    slope = guide[:, 2:] - guide[:, :-2]
    size = np.abs(slope)
    edge = (size > STEP) & (size >= cv2.dilate(size, np.ones((1, 5), np.uint8)))
    edge[:, :REACH] = edge[:, -REACH:] = False
    y, x = np.nonzero(edge)
    if len(y) > MOST:
        chosen = np.argpartition(size[y, x], -MOST)[-MOST:]
        y, x = y[chosen], x[chosen]
    upward = np.sign(slope[y, x])[:, None].astype(int)
    values = luma[y[:, None], x[:, None] + 1 + upward * np.arange(-REACH, REACH + 1)]
    low, high = values[:, :ENDS].mean(axis=1), values[:, -ENDS:].mean(axis=1)
    step = high - low
    clear = step > STEP
    share = np.minimum(step[clear], USED)
    return (share / step[clear]) @ (values[clear] - low[clear, None]), float(share.sum())
