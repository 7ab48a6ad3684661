"""Pictures without thin structures: letters, halos, ringing, lines and grain are thinner than what a scene is made of."""
import cv2
import numpy as np

THIN = 25  # a structure is thin below this part of the shorter side
LARGE = 300  # pixels of the shorter side beyond which a picture is halved first
OPEN_CLOSE = ((cv2.MORPH_OPEN, cv2.MORPH_CLOSE), (cv2.MORPH_CLOSE, cv2.MORPH_OPEN))


def halvings(luma):
    """How many octaves finer a picture [H, W] is than those that without_strokes returns."""
    return max(0, int(np.ceil(np.log2(min(luma.shape) / LARGE))))


def without_strokes(luma):
    """Two pictures float32 [h, w] of luma [H, W], halved until the shorter side has at most 300 pixels, without structures thinner than
    1/25 of it: opened and then closed, and closed and then opened, by a square. Edges of larger things stay, give or take a pixel.

    Below 50 pixels nothing is thinner than a pixel, and both are the picture itself.
    """
    for _ in range(halvings(luma)):
        luma = cv2.pyrDown(luma)
    side = min(luma.shape) // THIN
    if side < 2:
        return luma, luma
    grey, square = np.clip(np.rint(luma), 0, 255).astype(np.uint8), np.ones((side, side), np.uint8)
    return tuple(cv2.morphologyEx(cv2.morphologyEx(grey, first, square), last, square).astype(np.float32) for first, last in OPEN_CLOSE)
