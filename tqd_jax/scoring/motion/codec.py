"""The length of the codec's own motion vectors: motion without optical flow, from a few frames that are hardly decoded."""
import itertools

import numpy as np

from tqd_jax.clips.container import Limits, decoder_limit, opened
from tqd_jax.clips.pictures.aspect import pixel_ratio, shown_size
from tqd_jax.clips.pictures.side_data import side_data

STRETCHES, FRAMES = 4, 10  # of a clip that are asked, evenly spread, and consecutive frames of each
QUICKLY = {'flags2': '+export_mvs', 'skip_loop_filter': 'all', 'skip_idct': 'all'}  # the vectors are right, the pictures need not be


def codec_motion(path, limits=Limits()):
    """Mean length of the motion vectors in frame diagonals a second, over the picture; None where the codec tells none. Raises BadClip.

    H.264 and MPEG-4 have them, VP8, VP9 and AV1 tell none. An encoder's vectors point at what predicts well, and how many frames back
    is not told (one is taken): this tells clips that hardly move from others, not how much they move.
    """
    with opened(path, limits) as (container, stream):
        stream.codec_context.options = QUICKLY | decoder_limit(stream, limits)
        frames = [frame for part in range(STRETCHES) for frame in _stretch(container, stream, part)]
        shown = shown_size(stream.width, stream.height, pixel_ratio(stream))
        lengths = [length for frame in frames if (length := _length(frame, shown)) is not None]
        return float(np.mean(lengths)) * float(stream.average_rate or stream.guessed_rate or 0) if lengths else None


def _stretch(container, stream, part):
    if part:  # by the container's clock, which Matroska has too; without a duration, the beginning once more
        container.seek((container.start_time or 0) + part * (container.duration or 0) // STRETCHES)
    return itertools.islice(container.decode(stream), FRAMES)


def _length(frame, shown):
    """Mean |vector| over the picture in diagonals, from the frames before; what is coded without a vector has none.

    shown: (width, height) of the picture in square pixels, not yet turned.
    """
    vectors = side_data(frame, 'MOTION_VECTORS')
    if vectors is None:
        return None
    table = vectors.to_ndarray()
    table = table[table['source'] < 0]
    area = table['w'].astype(float) * table['h']
    across, down = table['motion_x'] * (shown[0] / frame.width), table['motion_y'] * (shown[1] / frame.height)
    length = np.hypot(across, down) / np.maximum(1, table['motion_scale'])
    return (area * length).sum() / (frame.width * frame.height * np.hypot(*shown))
