"""What a file says about a frame beside its pixels."""
import numpy as np


def side_data(frame, name):
    """The bytes-like side data `name` (of av.sidedata.sidedata.Type) of a frame, or None.

    None too where the frame has side data of a kind that PyAV does not know, since PyAV then gives none at all (18.1: EXIF).
    """
    try:
        return frame.side_data.get(name)
    except ValueError:
        return None


def integers(frame, name):
    """The same as an array of int32, or None."""
    data = side_data(frame, name)
    return None if data is None else np.frombuffer(bytes(data), np.int32)
