"""Opens and decodes video files, frame by frame; a file that is no usable video raises BadClip."""
import contextlib
import dataclasses
import itertools
import os
import tempfile

import av
import numpy as np

from tqd_jax.clips.archives.animated import HEAD, is_animated_webp, is_still_webp, write_webp
from tqd_jax.clips.archives.source import Unreadable
from tqd_jax.clips.pictures.decoders import decoded_frames, decoder_of, whole_packets
from tqd_jax.clips.places import BadClip, local_copy

FORMATS = ('mov,matroska,avi,gif,apng,mpegts,mpeg,mpegvideo,flv,asf,ogg,mxf,yuv4mpegpipe,rm,'  # no playlists: they open other files
           'h264,hevc,vvc,obu,av1,ivf,mjpeg,m4v')
GRID = 8  # pixels between those that two frames are compared at


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """What a clip may be and cost.

    Its shorter side, how many times that the longer one is, pixels a frame, seconds; frames decoded and bytes returned by one read; and
    bytes of a file that must be fetched from elsewhere.
    """

    min_side: int = 8
    max_aspect: int = 20
    max_pixels: int = 8192 * 4320
    max_seconds: int = 1_000_000
    max_frames: int = 20_000
    max_bytes: int = 2**31
    max_fetched: int = 2**32

    def __post_init__(self):
        for field, value in dataclasses.asdict(self).items():
            if value < 1:
                raise ValueError(f'Limits.{field} is {value}; it must be at least 1')


@contextlib.contextmanager
def opened(path, limits):
    """A context with PyAV's (container, video stream) of a file or URL within `limits`. Raises BadClip, for what fails inside too."""
    try:
        with local_copy(os.fspath(path), limits.max_fetched) as local:
            if os.path.exists(local) and not os.path.isfile(local):
                raise BadClip('not a file')  # opening a pipe would wait for ever
            with open(local, 'rb') as file:
                if not (head := file.read(HEAD)):
                    raise BadClip('an empty file')
            rules = {'format_whitelist': FORMATS, 'protocol_whitelist': 'file', 'max_pixels': str(limits.max_pixels)}
            path = os.path.abspath(local)
            with readable(path, head, limits) as video, av.open(video, options=rules, metadata_errors='replace') as container:
                yield container, _stream(container, limits)
    except MemoryError as error:  # libav's own too, which is an FFmpegError as well
        raise BadClip('too large for the memory') from error
    except av.FFmpegError as error:
        raise BadClip(f'not a video, or cut off ({error.strerror})') from error
    except OSError as error:
        raise BadClip(f'cannot be read ({error.strerror})') from error


@contextlib.contextmanager
def readable(local, head, limits):
    """A context with the path of what libav reads: a file itself, or of an animated WebP a video made of it. head: its first bytes."""
    if is_still_webp(head):
        raise BadClip('a single frame, which is no video')
    if not is_animated_webp(head):
        yield local
        return
    with tempfile.NamedTemporaryFile(prefix='clip-', suffix='.mov') as file:
        try:
            write_webp(local, file.name, limits.max_bytes)
        except Unreadable as error:
            raise BadClip(str(error)) from None
        yield file.name


def is_of_content(error):
    """Whether the reason of a BadClip is of the clip's bytes, so that another try ends the same; else it is of the file or the machine."""
    cause = error.__cause__
    return cause is None or (isinstance(cause, av.FFmpegError) and not isinstance(cause, MemoryError | OSError))


def _stream(container, limits):
    stream = container.streams.best('video')
    if stream is None:
        raise BadClip('only sound, no pictures' if container.streams.audio else 'no video in it')
    if stream.codec_context is None:
        raise BadClip('its codec is not known')
    if not stream.width:
        raise BadClip(f'frames of no known size, or of more than {limits.max_pixels} pixels')
    check_size(stream.width, stream.height, limits)
    index = stream.index_entries
    if len(index) and index[-1].pos + index[-1].size > os.path.getsize(container.name):
        raise BadClip('truncated: the file ends before its last frames')
    stream.codec_context.thread_count = 1  # clips are decoded by parallel processes
    stream.codec_context.options = decoder_limit(stream, limits)  # frames may grow on the way
    return stream


def check_size(width, height, limits):
    """Raises BadClip where frames of so many pixels are outside the limits."""
    short, long = sorted((width, height))
    if short < limits.min_side or short * long > limits.max_pixels:
        raise BadClip(f'frames of {width}x{height} pixels: outside {limits.min_side} a side to {limits.max_pixels} in all')
    if long > limits.max_aspect * short:
        raise BadClip(f'frames of {width}x{height} pixels: one side is more than {limits.max_aspect} times the other')


def decoder_limit(stream, limits):
    """The decoder's option that keeps its frames within limits.max_pixels."""
    padding = 64 * max(stream.width, stream.height)  # libav counts lines of whole 64 pixels
    return {'max_pixels': str(limits.max_pixels + padding)}


def decode(container, stream, limits):
    """The frames that can be decoded, in order, from the first whole one on; damaged packets are passed over.

    Raises BadClip beyond limits.max_frames.
    """
    count, decoder = itertools.count(1), decoder_of(stream, decoder_limit(stream, limits))
    for packet in whole_packets(container.demux(stream), stream):
        try:
            frames = decoded_frames(decoder, packet)
        except MemoryError:
            raise
        except av.FFmpegError:
            continue
        for frame in frames:
            if next(count) > limits.max_frames:
                raise BadClip(f'more than {limits.max_frames} frames to decode: cut it into shorter files')
            yield frame


def report_repeats(decoded, repeat):
    """The frames unchanged; calls repeat(whether a grid of the first plane is that of the frame before) for each but the first."""
    before = None
    for frame in decoded:
        plane = frame.planes[0]
        grid = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[GRID // 2:plane.height:GRID, :plane.width:GRID].astype(np.int16)
        if before is not None and before.shape == grid.shape:
            repeat(bool((np.abs(grid - before) <= 1).all()))
        before = grid
        yield frame
