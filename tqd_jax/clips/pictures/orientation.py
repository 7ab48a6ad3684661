"""How a file has its pictures turned: the display matrix as mirroring, quarter turns, and an angle that is left."""
import dataclasses

import cv2
import numpy as np

from tqd_jax.clips.pictures.side_data import integers

NEAR = 1.0  # degrees from a quarter turn that count as one


@dataclasses.dataclass(frozen=True, kw_only=True)
class Orientation:
    """What is done to a stored picture, in this order: rows and columns swapped, left and right, top and bottom, a turn.

    angle: degrees clockwise about the middle, 0 unless the turn is no quarter turn; the frame keeps its size, as in ffmpeg, so corners are
    cut and black.
    """
    transposed: bool = False
    mirrored: bool = False
    flipped: bool = False
    angle: float = 0.0

    def apply(self, picture):
        """The picture [H, W, C] upright."""
        if self.transposed:
            picture = picture.transpose(1, 0, 2)
        picture = picture[::-1 if self.flipped else 1, ::-1 if self.mirrored else 1]
        return _turned(picture, self.angle) if self.angle else picture

    def size(self, width, height):
        """(width, height) of an upright picture of that size as stored."""
        return (height, width) if self.transposed else (width, height)


def orientation_of(frame):
    """The Orientation that a decoded frame is to be shown in: by its own side data, which libav fills from the container's too."""
    matrix = integers(frame, 'DISPLAYMATRIX')
    if matrix is not None and len(matrix) >= 5:
        return from_matrix(*matrix[[0, 1, 3, 4]].tolist())
    angle = np.radians(-frame.rotation)  # all that PyAV gives where side_data has none; an angle of no sense is far outside
    return from_matrix(np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle)) if abs(frame.rotation) <= 180 else Orientation()


def from_matrix(a, b, c, d):
    """The Orientation of a display matrix that shows the pixel at (x, y) at (a x + c y, b x + d y); a singular one is none, as in players.

    Scale is left out here: libav makes the pixels' aspect of it. Of a shear the angle of the picture's rows stands.
    """
    determinant, size = a * d - b * c, np.hypot(a, b) * np.hypot(c, d)
    if not abs(determinant) > 1e-6 * size:
        return Orientation()
    sign = 1 if determinant > 0 else -1  # a mirroring comes before the turn
    degrees = np.degrees(np.arctan2(sign * b, sign * a))
    quarters = round(degrees / 90)
    if abs(degrees - 90 * quarters) > NEAR:
        return Orientation(mirrored=sign < 0, angle=float(degrees))
    if quarters % 2:
        x_by_row = -1 if quarters % 4 == 1 else 1
        return Orientation(transposed=True, mirrored=x_by_row < 0, flipped=x_by_row * sign > 0)
    turned = quarters % 4 == 2
    return Orientation(mirrored=turned != (sign < 0), flipped=turned)


def _turned(picture, degrees):
    """The picture turned clockwise about its middle, in a frame of its size."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1.0)
    return cv2.warpAffine(np.ascontiguousarray(picture), matrix, (width, height), flags=cv2.INTER_LINEAR)
