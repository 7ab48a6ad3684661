"""Black bars at the borders of a picture that come and go: their edges' motion is not the picture's."""
import numpy as np

BLACK, PLAIN = 8.0, 4.0  # grey levels of a bar at most, and by which its lines may differ
STRAIGHT = 0.5  # share of a bar's inner edge where the picture differs from it at once
BEYOND = 3  # pixels from a bar's last line to where the picture is, past the blur
MOVES = 2  # lines by which a bar must grow or shrink
MARGIN = 6  # pixels that flow and its evidence reach beyond a bar


def moving_bars(pictures):
    """bool [h, w]: what black bars along two opposite borders of pictures float32 [F, h, w] cover in some, where both grow or shrink."""
    mask = np.zeros(pictures.shape[1:], bool)
    for view, over in ((pictures, mask), (pictures.transpose(0, 2, 1), mask.T)):
        first, last = _heights(view), _heights(view[:, ::-1])
        if min(np.ptp(first), np.ptp(last)) >= MOVES:
            over[:first.max() + MARGIN] = over[len(over) - last.max() - MARGIN:] = True
    return mask


def _heights(view):
    """Lines of the leading bar of each picture; 0 where its first line is not black."""
    black = np.abs(view[:, 0]).max(1) <= BLACK
    return np.array([_height(picture) if dark else 0 for picture, dark in zip(view, black, strict=True)])


def _height(picture):
    """Lines of the leading bar of a picture [h, w]; 0 where its edge is not straight, or all is plain."""
    plain = np.abs(picture - picture[0, 0]).max(1) <= PLAIN
    height = 0 if plain.all() else int(plain.argmin())
    edge = picture[min(height + BEYOND, len(picture) - 1)]
    return height if (np.abs(edge - picture[0, 0]) > PLAIN).mean() >= STRAIGHT else 0
