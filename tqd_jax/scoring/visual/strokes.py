"""Pictures without thin structures: letters, halos, ringing, lines and grain are thinner than what a scene is made of."""
import cv2
import numpy as np

THIN = 25  # a structure is thin below this part of the shorter side
LARGE = 300  # pixels of the shorter side beyond which a picture is halved first
ORDERS = (cv2.erode, cv2.dilate, cv2.dilate, cv2.erode), (cv2.dilate, cv2.erode, cv2.erode, cv2.dilate)


def halvings(luma):
    """How many octaves finer a picture [H, W] is than those that without_strokes returns."""
    return max(0, int(np.ceil(np.log2(min(luma.shape) / LARGE))))


def without_strokes(luma):
    """Two pictures float32 [h, w] of luma [H, W], halved until the shorter side has at most 300 pixels, without structures thinner than
    1/25 of it: opened and then closed, and closed and then opened, by a square. Edges of larger things stay, and a mirrored picture has
    mirrored ones.

    Below 50 pixels nothing is thinner than a pixel, and both are the picture itself.
    """
    for _ in range(halvings(luma)):
        luma = cv2.resize(cv2.GaussianBlur(luma, (5, 5), 1), [(side + 1) // 2 for side in luma.shape[::-1]], interpolation=cv2.INTER_AREA)
    side = min(luma.shape) // THIN
    if side < 2:
        return luma, luma
    grey = np.clip(np.rint(luma), 0, 255).astype(np.uint8)
    return tuple(_through(grey, side, order).astype(np.float32) for order in ORDERS)


def _through(grey, side, order):
    """The picture after a row of erosions and dilations by a square. Erosions start at its first corner and dilations at its last, since a
    square of even side has no middle, and what one of them moves the other moves back. The border is the same on all sides: it repeats."""
    square = np.ones((side, side), np.uint8)
    grey = cv2.copyMakeBorder(grey, *4 * [side], cv2.BORDER_REPLICATE)
    for change in order:
        grey = change(grey, square, anchor=(0, 0) if change is cv2.erode else (side - 1, side - 1))
    return grey[side:-side, side:-side]
