"""Images of one size: resized by area where they shrink, cut square from the middle, grey or in colour."""
import pathlib

import cv2
import numpy as np


def fit(image: np.ndarray, size: int | None, channels: int | None) -> np.ndarray:
    """uint8 RGB [H, W, 1 or 3] -> [size, size, channels]: the short side becomes size, the long one is cropped evenly; None: no change."""
    if channels is not None and image.shape[-1] != channels:
        image = np.repeat(image, 3, axis=-1) if channels == 3 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]
    if size is None or image.shape[:2] == (size, size):
        return image
    height, width = image.shape[:2]
    scale = size / min(height, width)
    whole = max(size, round(width * scale)), max(size, round(height * scale))
    image = cv2.resize(image, whole, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    top, left = (whole[1] - size) // 2, (whole[0] - size) // 2
    return image.reshape(*whole[::-1], -1)[top:top + size, left:left + size]  # OpenCV drops a single channel


def read_image(path: pathlib.Path) -> np.ndarray:
    """uint8 RGB [H, W, 1 or 3] of an image file, upright by its EXIF, with transparency over white. Raises ValueError with the reason."""
    try:
        data = path.read_bytes()
        is_jpeg = data.startswith(b'\xff\xd8')  # other formats are read with their transparency, and have no EXIF
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR if is_jpeg else cv2.IMREAD_UNCHANGED)
    except OSError as error:
        raise ValueError(error.strerror) from None
    except cv2.error:
        image = None
    if image is None:
        raise ValueError('empty' if not data else 'no image that OpenCV can decode')
    if is_jpeg and data.rfind(b'\xff\xd9') < len(data) // 2:  # OpenCV would fill the rest with grey
        raise ValueError('the file ends before the image')
    return _rgb(image)


def _rgb(image):
    """uint8 RGB [H, W, 1 or 3] of an image as OpenCV decodes it: [H, W], BGR or BGRA, of 8 or 16 bits."""
    if image.dtype not in (np.uint8, np.uint16):
        raise ValueError(f'pixels are {image.dtype}')
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    image = image.reshape(*image.shape[:2], -1)
    if image.shape[-1] == 4:
        opaque = image[..., 3:].astype(np.float32) / 255
        image = np.rint(image[..., :3] * opaque + 255 * (1 - opaque)).astype(np.uint8)
    return image[..., ::-1]
