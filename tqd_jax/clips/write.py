"""Writes frames to a video file, whole or not at all, or to the bytes of one for a web page."""
import fractions
import io

import av
import numpy as np
from av.video.reformatter import Colorspace
from jaxtyping import UInt8

from tqd_jax.clips.pictures.colour import matrix_of_size
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.paths import path_of

BT709 = 1  # H.273's number of the matrix


def write_clip(path, frames: UInt8[np.ndarray, 'frames height width 3'], fps: float, *, crf: int = 12, pix_fmt: str = 'yuv420p',
               preset: str = 'veryfast'):
    """Writes frames uint8 [F, H, W, 3] RGB as H.264 in mp4, all of it or nothing; a high `crf` (0 to 51) is a low bit rate.

    The same input gives the same bytes. Raises ValueError for other arrays and for odd sizes in yuv420p, which halves the colour
    (yuv444p takes any size), and OSError with the path when the file cannot be written.
    """
    frames = _checked(frames, pix_fmt)
    # x264's macroblock tree is not the same from call to call on frames of a few macroblocks
    options = {'crf': str(crf), 'preset': preset, 'x264-params': 'mbtree=0'}
    matrix = matrix_of_size(frames.shape[2], frames.shape[1])
    marked = matrix == Colorspace.ITU709  # smaller pictures without a mark are taken for BT.601
    write_atomically(path_of(path), _encode(frames, fps, 'mp4', 'libx264', pix_fmt, options, matrix, marked))


def webm(frames: UInt8[np.ndarray, 'frames height width 3'], fps: float, *, crf: int = 24) -> bytes:
    """Frames uint8 [F, H, W, 3] RGB as VP9 in WebM, which every browser plays; a high `crf` (0 to 63) is a low bit rate.

    The same input gives the same bytes. Raises ValueError for other arrays and for odd sizes.
    """
    options = {'crf': str(crf), 'b': '0', 'deadline': 'good', 'cpu-used': '4'}
    return _encode(_checked(frames, 'yuv420p'), fps, 'webm', 'libvpx-vp9', 'yuv420p', options, Colorspace.ITU709, marked=True)


def _checked(frames, pix_fmt):
    frames = np.asarray(frames)
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not frames.size:
        raise ValueError(f'frames must be uint8 [F, H, W, 3], not {frames.dtype} {list(frames.shape)}')
    if pix_fmt == 'yuv420p' and (frames.shape[1] % 2 or frames.shape[2] % 2):
        raise ValueError(f'yuv420p needs an even width and height, not {frames.shape[2]}x{frames.shape[1]}')
    return frames


def _encode(frames, fps, container_format, codec, pix_fmt, options, matrix, marked):
    """The bytes of a file. marked: whether it says which matrix its colours are of; only BT.709 is."""
    file = io.BytesIO()  # and not the file itself: libav hides a full disk until the trailer
    exact = {'fflags': '+bitexact'} if container_format == 'webm' else {}  # else WebM has random identities
    with av.open(file, 'w', format=container_format, options=exact) as container:
        stream = container.add_stream(codec, rate=fractions.Fraction(fps).limit_denominator(90_000), options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pix_fmt
        stream.codec_context.thread_count = 1
        if marked:
            stream.codec_context.colorspace = BT709
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame, format='rgb24')
            container.mux(stream.encode(picture.reformat(format=pix_fmt, dst_colorspace=matrix, threads=1)))
        container.mux(stream.encode())
    return file.getvalue()
