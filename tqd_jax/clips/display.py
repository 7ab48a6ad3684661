"""The frame of a video on display at a time: by presentation times; variable rates, broken timestamps, windows far inside."""
import contextlib
import dataclasses
import itertools

import av

from tqd_jax.clips.container import Limits, check_size, decode, opened
from tqd_jax.clips.pictures.fields import deinterlaced
from tqd_jax.clips.pictures.options import PictureOptions
from tqd_jax.clips.pictures.rendering import rendering_of
from tqd_jax.clips.pictures.timing import JUMP, timing_of
from tqd_jax.clips.places import BadClip

SLACK = 2e-3  # s; containers that count milliseconds round both a frame's time and the first frame's
SEEK_FROM = 2.0  # s; nearer windows are reached faster by decoding up to them
SEEK_MARGIN = 0.5  # s; a seek goes by decoding time, which runs ahead of presentation time


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """Size of the upright picture in square pixels, average frames per second, seconds, and the range of the light of a video.

    dynamic_range: as pictures/colour.py names it; what the file has, while pictures are always made those of BT.709.
    """

    width: int
    height: int
    fps: float
    duration: float
    dynamic_range: str


def probe(path, *, limits=Limits()):
    """The VideoInfo of a file from its header, or by counting packets where the header lacks it. Raises BadClip as read_clip does."""
    with opened(path, limits) as (container, stream):
        opening, _ = _opening(container, stream, limits)
        return _info(container, stream, opening, PictureOptions(), limits)[0]


@contextlib.contextmanager
def frames_on_display(path, rate, start, seconds, limits, options=PictureOptions(), watch=None):
    """A context with (VideoInfo, Rendering, pairs of (time, frame) shown at start, start + 1 / rate, ...), at least one pair.

    Frames are libav's own, decoded and not converted; see read_clip for the arguments and for what it raises. watch: a function from the
    iterator of decoded frames to one of the same, before any is deinterlaced.
    """
    if rate <= 0 or start < 0 or (seconds is not None and seconds <= 0):
        raise ValueError(f'rate {rate} and seconds {seconds} must be above 0, start {start} at least 0')
    with opened(path, limits) as (container, stream):
        opening, following = _opening(container, stream, limits)
        info, rendering, timing = _info(container, stream, opening, options, limits)
        near = start < SEEK_FROM or opening[0].pts is None
        decoded = itertools.chain(opening, following) if near else _seek(container, stream, opening[0].pts, start, limits)
        decoded = deinterlaced(watch(decoded) if watch else decoded, options.deinterlace)
        timed = _with_times(decoded, opening[0], 1 / info.fps)
        count = None if seconds is None else max(1, round(seconds * rate))
        targets = (start + k / rate for k in itertools.islice(itertools.count(), count))
        pairs = _on_display(timed, targets, 1 / info.fps, timing)
        some = next(pairs, None)
        if some is None:
            raise BadClip(f'nothing to show at {start:g} s: it lasts {info.duration:.2f} s')
        yield info, rendering, itertools.chain([some], pairs)


def _opening(container, stream, limits):
    """The first two frames, and the iterator of the others."""
    decoded = decode(container, stream, limits)
    opening = list(itertools.islice(decoded, 2))
    if len(opening) < 2:
        raise BadClip('a single frame, which is no video' if opening else 'not one frame can be decoded')
    return opening, decoded


def _info(container, stream, opening, options, limits):
    """(VideoInfo, Rendering, Timing)."""
    rendering, timing = rendering_of(stream, opening[0], options), timing_of(container, stream, opening, limits)
    width, height = rendering.upright
    check_size(width, height, limits)
    info = VideoInfo(width=width, height=height, fps=timing.fps, duration=timing.duration, dynamic_range=rendering.dynamic_range)
    return info, rendering, timing


def _seek(container, stream, origin, start, limits):
    """The frames from a key frame before `start`, or all of them where a seek does not lead there."""
    aim = origin + int((start - SEEK_MARGIN) / stream.time_base)
    with contextlib.suppress(av.FFmpegError):
        container.seek(aim, stream=stream)
    decoded = itertools.dropwhile(lambda frame: not frame.key_frame, decode(container, stream, limits))
    landed = next(decoded, None)
    if landed is not None and landed.pts is not None and landed.pts <= aim:
        yield landed
        yield from decoded
    else:
        with opened(container.name, limits) as again:
            yield from decode(*again, limits)


def _with_times(decoded, first, step):
    """Pairs of (s after the first frame, frame): never going back, whatever the timestamps do."""
    last, shift, origin = -step, 0.0, None if first.pts is None else first.pts * first.time_base
    for frame in decoded:
        has_time = frame.pts is not None and origin is not None
        time = float(frame.pts * frame.time_base - origin) + shift if has_time else last + step
        if time < last - JUMP:
            shift += last + step - time
            time = last + step
        last = max(time, last)
        yield last, frame


def _on_display(timed, targets, step, timing):
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
    end, promised = max(held[0] + step, min(end, timing.duration)), timing.promised
    while target is not None and target + SLACK < end:
        yield held
        target = next(targets, None)
    if promised and target is not None and end < 0.9 * promised - step and target < promised:
        raise BadClip(f'truncated: frames end at {end:.2f} s of {promised:.2f} s')
