"""Small video files whose every frame tells its number, for tests."""
import fractions

import av
import numpy as np

BASE, STEP = 20, 3  # frame number i is a flat picture of level BASE + STEP i


def levels(count, size=(32, 48)):
    return np.broadcast_to((BASE + STEP * np.arange(count, dtype=np.uint8))[:, None, None, None], (count, *size, 3))


def numbers(clip):
    return ((clip.frames.mean((1, 2, 3)) - BASE) / STEP).round().astype(int)


def encode(file, frames, codec='libx264', pix_fmt='yuv420p', rate=10, ticks=None, fmt=None, options=None, **container_options):
    """Writes with PyAV; `ticks` are presentation times in milliseconds."""
    with av.open(file, 'w', format=fmt, options=container_options) as container:
        stream = container.add_stream(codec, rate=rate, options={'crf': '1'} | (options or {}) if 'x264' in codec else options or {})
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], pix_fmt
        if ticks is not None:
            stream.codec_context.time_base = fractions.Fraction(1, 1000)
        for i, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format='rgb24')
            if ticks is not None:
                picture.pts, picture.time_base = int(ticks[i]), fractions.Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
