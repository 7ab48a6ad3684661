"""Writes frames to a video file, whole or not at all."""
import fractions
import io

import av
import numpy as np
from av.video.reformatter import Colorspace
from jaxtyping import UInt8

from tqd_jax.clips.pictures.colour import matrix_of_size
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.paths import path_of


def write_clip(path, frames: UInt8[np.ndarray, 'frames height width 3'], fps: float, *, crf: int = 12, pix_fmt: str = 'yuv420p',
               preset: str = 'veryfast'):
    """Writes frames uint8 [F, H, W, 3] RGB as H.264 in mp4, all of it or nothing; a high `crf` (0 to 51) is a low bit rate.

    The same input gives the same bytes. Raises ValueError for other arrays and for odd sizes in yuv420p, which halves the colour
    (yuv444p takes any size), and OSError with the path when the file cannot be written.
    """
    frames = np.asarray(frames)
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not frames.size:
        raise ValueError(f'frames must be uint8 [F, H, W, 3], not {frames.dtype} {list(frames.shape)}')
    if pix_fmt == 'yuv420p' and (frames.shape[1] % 2 or frames.shape[2] % 2):
        raise ValueError(f'yuv420p needs an even width and height, not {frames.shape[2]}x{frames.shape[1]}')
    write_atomically(path_of(path), _encode(frames, fps, pix_fmt, crf, preset))


def _encode(frames, fps, pix_fmt, crf, preset):
    # x264's macroblock tree is not the same from call to call on frames of a few macroblocks
    options = {'crf': str(crf), 'preset': preset, 'x264-params': 'mbtree=0'}
    file = io.BytesIO()  # and not the file itself: libav hides a full disk until the trailer
    with av.open(file, 'w', format='mp4') as container:
        stream = container.add_stream('libx264', rate=fractions.Fraction(fps).limit_denominator(90_000), options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pix_fmt
        stream.codec_context.thread_count = 1
        matrix = matrix_of_size(stream.width, stream.height)
        if matrix == Colorspace.ITU709:
            stream.codec_context.colorspace = 1  # BT.709 by H.273's number; smaller pictures without a mark are taken for BT.601
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame, format='rgb24')
            container.mux(stream.encode(picture.reformat(format=pix_fmt, dst_colorspace=matrix, threads=1)))
        container.mux(stream.encode())
    return file.getvalue()
