"""False contours: steps of a few grey levels between flat surroundings, as coarse quantisation leaves in skies and walls."""
import cv2
import numpy as np

SCALES = (0.5, 0.25)  # of the picture: what is seen from afar, with grain averaged out
REACH = 4  # pixels to each side of a contour where its surroundings are looked at
FLAT = np.ones((3, 3), np.uint8)  # and how much of them
ROUGH = 2.0  # times their ranges that a step must exceed; a ramp's step is twice the sum
VISIBLE, CLEAR = 3.0, 9.0  # grey levels of a step that counts not yet, and fully
EDGE = 20.0  # grey levels beyond which a step is an edge of something


def banding(lumas):
    """{'banding'}: the share in [0, 1] of pixels on false contours, from lumas float32 [F, H, W]; the mean over frames, scales, axes.

    At 1/2 and 1/4 of the size, with s(x) = |L(x + 4) - L(x - 4)| along an axis and r(x) the range of the 3 x 3 pixels around x, a pixel's
    contour is c = s - 2 (r(x + 4) + r(x - 4)) where s <= 20, and it counts as clip((c - 3) / 6, 0, 1). Both sides must be flat beside
    the step between them: a ramp of slope m has s = 8 m and r = 2 m, so c = 0; grain and textures have r of the order of s; edges of
    things are higher. CAMBI (Netflix 2021) asks the same of the histogram of a window. Low edges between plain surfaces, as in cartoons,
    look like contours, and steps of up to 3 grey levels are let pass: eight bits leave them in any smooth sky.
    """
    return {'banding': float(np.mean([_contours(luma, scale) for luma in lumas for scale in SCALES]))}


def _contours(luma, scale):
    size = tuple(max(2 * REACH + 1, round(side * scale)) for side in luma.shape[::-1])
    small = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    ranges = cv2.dilate(small, FLAT) - cv2.erode(small, FLAT)
    return (_along(small, ranges) + _along(small.T, ranges.T)) / 2


def _along(luma, ranges):
    """The share of pixels on contours that run across the last axis."""
    step = np.abs(luma[:, 2 * REACH:] - luma[:, :-2 * REACH])
    contour = step - ROUGH * (ranges[:, 2 * REACH:] + ranges[:, :-2 * REACH])
    return (np.clip((contour - VISIBLE) / (CLEAR - VISIBLE), 0, 1) * (step <= EDGE)).mean()
