"""Video files: decode a window of one, probe it; whatever is not a usable video is a BadClip."""
import contextlib
import dataclasses
import itertools
import os
import re

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from tqd_jax.data.places import BadClip, local_copy

FORMATS = 'mov,matroska,avi,gif,mpegts,mpeg,mpegvideo,flv,asf,ogg,mxf,yuv4mpegpipe,rm'  # no playlists: they open other files
SLACK = 2e-3  # s; containers that count milliseconds round both a frame's time and the first frame's
SEEK_FROM = 2.0  # s; nearer windows are reached faster by decoding up to them
SEEK_MARGIN = 0.5  # s; a seek goes by decoding time, which runs ahead of presentation time
GRID = 8  # pixels between those that two frames are compared at
MAX_FPS = 10_000  # more is a damaged header
JUMP = 1.0  # s; timestamps that go back by more than this have started anew


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """Size of the upright picture in pixels, average frames per second, and seconds of a video."""

    width: int
    height: int
    fps: float
    duration: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clip(VideoInfo):
    """A decoded window: frames uint8 [F, H, W, 3] RGB, and when each came on display, float64 [F] in s after the first frame.

    repeated: the share of the file's frames there, shown or not, whose first plane repeats that of the frame before; None if unasked.
    """

    frames: np.ndarray
    times: np.ndarray
    repeated: float | None = None


def probe(path, *, limits=Limits()):
    """The VideoInfo of a file from its header, or by counting packets where the header lacks it. Raises BadClip as read_clip does."""
    with opened(path, limits) as (container, stream):
        opening, _ = _opening(container, stream, limits)
        return _info(container, stream, opening[0], limits)


def read_clip(path, *, rate, start=0.0, seconds=None, short_side=None, limits=Limits()):
    """The frames shown at start, start + 1/rate, ... s after the first frame, for `seconds` or to the end, whichever is first.

    Goes by presentation times, so a variable frame rate is sampled as a viewer sees it. Pictures are turned upright as the file asks and
    shrunk by area averaging to `short_side` where that is smaller. A damaged frame is replaced by the one before it.

    Raises BadClip: not a video, fewer than two frames, a size outside `limits`, nothing to show at `start`, or cut off (mp4 and mov are
    then refused whole, since the index tells; mkv, webm and avi when the window reaches the cut; a gif does not know its length).
    """
    with shown_frames(path, rate, start, seconds, limits) as (info, first, shown):
        times, frames = _pictures(shown, first, short_side, limits)
    return Clip(frames=_stacked(frames), times=np.array(times), **dataclasses.asdict(info))


def read_views(path, *, rate, start=0.0, seconds, side, looks, look_side, limits=Limits()):
    """What a window is measured on: the Clip that read_clip returns, and `looks` of its frames, larger: uint8 [<= looks, H, W, 3].

    The Clip's frames are shrunk to `side` straight from the file's own colours, ten times as fast as by area averaging and nearly the same;
    the looks, each in the middle of an equal part of the window, are shrunk to `look_side` as read_clip does. Raises as read_clip.
    """
    repeats = []
    with shown_frames(path, rate, start, seconds, limits, repeats.append) as (info, first, shown):
        expected = min(round(seconds * rate), max(1, int((info.duration - start) * rate)))
        chosen = {int((k + 0.5) * expected / looks) for k in range(looks)}
        reformatter, size, look_size = VideoReformatter(), _size(first, side), _size(first, look_side)
        times, frames, large, previous = [], [], [], None
        for number, (time, frame) in enumerate(shown):
            if frame is not previous:
                small, previous = _quick(frame, first, reformatter, size), frame
            if number in chosen:
                large.append(_picture(frame, first, VideoReformatter(), look_size))
            times.append(time)
            frames.append(small)
        large = large or [_picture(previous, first, VideoReformatter(), look_size)]  # where pictures end before the first middle
    clip = Clip(frames=_stacked(frames), times=np.array(times), repeated=float(np.mean(repeats or [0])), **dataclasses.asdict(info))
    return clip, _stacked(large)


@contextlib.contextmanager
def shown_frames(path, rate, start, seconds, limits, repeat=None):
    """A context with (VideoInfo, the first frame, pairs of (time, frame) shown at start, start + 1 / rate, ...), at least one pair.

    Frames are libav's own, decoded and not converted; see read_clip for the arguments and for what it raises. repeat: see _watched.
    """
    if rate <= 0 or start < 0 or (seconds is not None and seconds <= 0):
        raise ValueError(f'rate {rate} and seconds {seconds} must be above 0, start {start} at least 0')
    with opened(path, limits) as (container, stream):
        opening, following = _opening(container, stream, limits)
        info = _info(container, stream, opening[0], limits)
        near = start < SEEK_FROM or opening[0].pts is None
        decoded = itertools.chain(opening, following) if near else _sought(container, stream, opening[0].pts, start, limits)
        timed = _timed(_watched(decoded, repeat) if repeat else decoded, opening[0].pts, 1 / info.fps)
        count = None if seconds is None else max(1, round(seconds * rate))
        targets = (start + k / rate for k in itertools.islice(itertools.count(), count))
        shown = _shown(timed, targets, 1 / info.fps, _promised(stream, opening[0]))
        some = next(shown, None)
        if some is None:
            raise BadClip(f'nothing to show at {start:g} s: it lasts {info.duration:.2f} s')
        yield info, opening[0], itertools.chain([some], shown)


@contextlib.contextmanager
def opened(path, limits):
    """A context with PyAV's (container, video stream) of a file or URL within `limits`. Raises BadClip, for what fails inside too."""
    try:
        with local_copy(os.fspath(path), limits.max_fetched) as local:
            if os.path.exists(local) and not os.path.isfile(local):
                raise BadClip('not a file')  # opening a pipe would wait for ever
            with open(local, 'rb') as file:
                if not file.read(1):
                    raise BadClip('an empty file')
            rules = {'format_whitelist': FORMATS, 'protocol_whitelist': 'file', 'max_pixels': str(limits.max_pixels)}
            with av.open(os.path.abspath(local), options=rules, metadata_errors='replace') as container:
                yield container, _stream(container, limits)
    except MemoryError as error:  # libav's own too, which is an FFmpegError as well
        raise BadClip('too large for the memory') from error
    except av.FFmpegError as error:
        raise BadClip(f'not a video, or cut off ({error.strerror})') from error
    except OSError as error:
        raise BadClip(f'cannot be read ({error.strerror})') from error


def _stream(container, limits):
    stream = container.streams.best('video')
    if stream is None:
        raise BadClip('only sound, no pictures' if container.streams.audio else 'no video in it')
    if stream.codec_context is None:
        raise BadClip('its codec is not known')
    if not stream.width:
        raise BadClip(f'frames of no known size, or of more than {limits.max_pixels} pixels')
    short, long = sorted((stream.width, stream.height))
    if short < limits.min_side or short * long > limits.max_pixels:
        raise BadClip(f'frames of {stream.width}x{stream.height} pixels: outside {limits.min_side} a side to {limits.max_pixels} in all')
    if long > limits.max_aspect * short:
        raise BadClip(f'frames of {stream.width}x{stream.height} pixels: one side is more than {limits.max_aspect} times the other')
    index = stream.index_entries
    if len(index) and index[-1].pos + index[-1].size > os.path.getsize(container.name):
        raise BadClip('truncated: the file ends before its last frames')
    stream.codec_context.thread_count = 1  # clips are decoded by parallel processes
    padded = limits.max_pixels + 64 * long  # libav counts lines of whole 64 pixels
    stream.codec_context.options = {'max_pixels': str(padded)}  # frames may grow on the way
    return stream


def _decoded(container, stream, limits):
    count = itertools.count(1)
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except MemoryError:
            raise
        except av.FFmpegError:
            continue
        for frame in frames:
            if next(count) > limits.max_frames:
                raise BadClip(f'more than {limits.max_frames} frames to decode: cut it into shorter files')
            yield frame


def _watched(decoded, repeat):
    """The frames, each told to `repeat` as True where a grid of its first plane is that of the frame before."""
    before = None
    for frame in decoded:
        plane = frame.planes[0]
        grid = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[GRID // 2:plane.height:GRID, :plane.width:GRID].astype(np.int16)
        if before is not None and before.shape == grid.shape:
            repeat(bool((np.abs(grid - before) <= 1).all()))
        before = grid
        yield frame


def _opening(container, stream, limits):
    """The first two frames, and the iterator of the others."""
    decoded = _decoded(container, stream, limits)
    opening = list(itertools.islice(decoded, 2))
    if len(opening) < 2:
        raise BadClip('a single frame, which is no video' if opening else 'not one frame can be decoded')
    return opening, decoded


def _promised(stream, first):
    """How long the file says that its pictures last (not its sound), in s, or None."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    tag = re.fullmatch(r'(\d+):(\d+):(\d+\.?\d*)', stream.metadata.get('DURATION', ''))  # Matroska's way: when they end
    began = 0.0 if first.pts is None else float(first.pts * first.time_base)
    return float(tag[1]) * 3600 + float(tag[2]) * 60 + float(tag[3]) - began if tag else None


def _info(container, stream, first, limits):
    width, height = (first.height, first.width) if first.rotation % 180 else (first.width, first.height)
    duration = _promised(stream, first) or (container.duration or 0) / av.time_base
    rate = stream.average_rate or stream.guessed_rate
    fps = stream.frames / duration if stream.frames and duration else float(rate or 0)
    if not duration > 0 or not fps:
        fps, duration = _counted(container.name, limits)
    if fps > MAX_FPS:
        raise BadClip(f'{fps:.0f} frames a second, more than {MAX_FPS}: its header is wrong')
    if duration > limits.max_seconds:
        raise BadClip(f'lasts {duration:.0f} s, more than {limits.max_seconds}: its header is wrong, or it should be cut')
    return VideoInfo(width=width, height=height, fps=fps, duration=duration)


def _counted(name, limits):
    with opened(name, limits) as (container, stream):
        times = [float(packet.pts * packet.time_base) for packet in container.demux(stream) if packet.pts is not None]
    span = max(times, default=0.0) - min(times, default=0.0)
    if not span:
        raise BadClip('its frames have no times')
    return (len(times) - 1) / span, span * len(times) / (len(times) - 1)


def _sought(container, stream, origin, start, limits):
    """The frames from a key frame before `start`, or all of them where a seek does not lead there."""
    aim = origin + int((start - SEEK_MARGIN) / stream.time_base)
    with contextlib.suppress(av.FFmpegError):
        container.seek(aim, stream=stream)
    decoded = itertools.dropwhile(lambda frame: not frame.key_frame, _decoded(container, stream, limits))
    landed = next(decoded, None)
    if landed is not None and landed.pts is not None and landed.pts <= aim:
        yield landed
        yield from decoded
    else:
        with opened(container.name, limits) as again:
            yield from _decoded(*again, limits)


def _timed(decoded, origin, step):
    """Pairs of (s after the first frame, frame): never going back, whatever the timestamps do."""
    last, shift = -step, 0.0
    for frame in decoded:
        known = frame.pts is not None and origin is not None
        time = float((frame.pts - origin) * frame.time_base) + shift if known else last + step
        if time < last - JUMP:
            shift += last + step - time
            time = last + step
        last = max(time, last)
        yield last, frame


def _shown(timed, targets, step, promised):
    """For each target time the (time, frame) on display then: the last that had come by then."""
    target, held = next(targets, None), None
    for time, frame in timed:
        while held is not None and target is not None and target + SLACK < time:
            yield held
            target = next(targets, None)
        if target is None:
            return
        held = time, frame
    end = held[0] + (float(held[1].duration * held[1].time_base) or step)
    while target is not None and target + SLACK < end:
        yield held
        target = next(targets, None)
    if promised and target is not None and end < 0.9 * promised - step and target < promised:
        raise BadClip(f'truncated: frames end at {end:.2f} s of {promised:.2f} s')


def _pictures(shown, first, short_side, limits):
    """Lists of times and of upright RGB arrays; a frame that stays on display is converted once."""
    reformatter, size = VideoReformatter(), _size(first, short_side)
    times, frames, previous = [], [], None
    for time, frame in shown:
        if frame is not previous:
            picture, previous = _picture(frame, first, reformatter, size), frame
        times.append(time)
        frames.append(picture)
        if picture.nbytes * len(frames) > limits.max_bytes:
            raise BadClip(f'more than {limits.max_bytes} bytes decoded: read less of it, or shrink it more')
    return times, frames


def _stacked(frames):
    """np.stack of a list that it empties on the way, so that a clip is in memory once and not twice."""
    stacked = np.empty((len(frames), *frames[0].shape), np.uint8)
    for i in reversed(range(len(frames))):
        stacked[i] = frames.pop()
    return stacked


def _size(first, short_side):
    """(width, height) after shrinking."""
    scale = min(1.0, (short_side or first.height) / min(first.width, first.height))
    return max(1, round(first.width * scale)), max(1, round(first.height * scale))


def _picture(frame, first, reformatter, size):
    rgb = _rgb(frame, reformatter, (first.width, first.height))
    if size != (first.width, first.height):
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    return np.rot90(rgb, round(first.rotation / 90))


def _quick(frame, first, reformatter, size):
    return np.rot90(_rgb(frame, reformatter, size), round(first.rotation / 90))


def _rgb(frame, reformatter, size):
    return reformatter.reformat(frame, width=size[0], height=size[1], format='rgb24', src_color_range=frame.color_range,
                                dst_color_range=ColorRange.JPEG, interpolation=Interpolation.AREA, threads=1).to_ndarray()
