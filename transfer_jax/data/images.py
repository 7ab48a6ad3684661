"""Images of one size: resized by area where they shrink, cut square from the middle, grey or in colour."""
import cv2
import numpy as np


def fit(image, size, channels):
    """uint8 [H, W, 1 or 3], RGB -> [size, size, channels]: the short side becomes size, the rest is cut off evenly; None: as it is."""
    if channels is not None and image.shape[-1] != channels:
        image = np.repeat(image, 3, axis=-1) if channels == 3 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]
    if size is None or image.shape[:2] == (size, size):
        return image
    height, width = image.shape[:2]
    scale = size / min(height, width)
    whole = max(size, round(width * scale)), max(size, round(height * scale))
    resized = cv2.resize(image, whole, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    top, left = (whole[1] - size) // 2, (whole[0] - size) // 2
    return resized.reshape(*whole[::-1], -1)[top:top + size, left:left + size]  # OpenCV drops a single channel
