"""The frame of a video on display at a time: by presentation times; variable rates, broken timestamps, windows far inside."""
import contextlib
import dataclasses
import itertools
import re

import av

from tqd_jax.clips.container import Limits, decode, opened, report_repeats
from tqd_jax.clips.places import BadClip

SLACK = 2e-3  # s; containers that count milliseconds round both a frame's time and the first frame's
SEEK_FROM = 2.0  # s; nearer windows are reached faster by decoding up to them
SEEK_MARGIN = 0.5  # s; a seek goes by decoding time, which runs ahead of presentation time
MAX_FPS = 10_000  # more is a damaged header
JUMP = 1.0  # s; timestamps that go back by more than this have started anew


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """Size of the upright picture in pixels, average frames per second, and seconds of a video."""

    width: int
    height: int
    fps: float
    duration: float


def probe(path, *, limits=Limits()):
    """The VideoInfo of a file from its header, or by counting packets where the header lacks it. Raises BadClip as read_clip does."""
    with opened(path, limits) as (container, stream):
        opening, _ = _opening(container, stream, limits)
        return _info(container, stream, opening[0], limits)


@contextlib.contextmanager
def frames_on_display(path, rate, start, seconds, limits, repeat=None):
    """A context with (VideoInfo, the first frame, pairs of (time, frame) shown at start, start + 1 / rate, ...), at least one pair.

    Frames are libav's own, decoded and not converted; see read_clip for the arguments and for what it raises. repeat: see report_repeats.
    """
    if rate <= 0 or start < 0 or (seconds is not None and seconds <= 0):
        raise ValueError(f'rate {rate} and seconds {seconds} must be above 0, start {start} at least 0')
    with opened(path, limits) as (container, stream):
        opening, following = _opening(container, stream, limits)
        info = _info(container, stream, opening[0], limits)
        near = start < SEEK_FROM or opening[0].pts is None
        decoded = itertools.chain(opening, following) if near else _seek(container, stream, opening[0].pts, start, limits)
        timed = _with_times(report_repeats(decoded, repeat) if repeat else decoded, opening[0].pts, 1 / info.fps)
        count = None if seconds is None else max(1, round(seconds * rate))
        targets = (start + k / rate for k in itertools.islice(itertools.count(), count))
        pairs = _on_display(timed, targets, 1 / info.fps, _header_duration(stream, opening[0]))
        some = next(pairs, None)
        if some is None:
            raise BadClip(f'nothing to show at {start:g} s: it lasts {info.duration:.2f} s')
        yield info, opening[0], itertools.chain([some], pairs)


def _opening(container, stream, limits):
    """The first two frames, and the iterator of the others."""
    decoded = decode(container, stream, limits)
    opening = list(itertools.islice(decoded, 2))
    if len(opening) < 2:
        raise BadClip('a single frame, which is no video' if opening else 'not one frame can be decoded')
    return opening, decoded


def _info(container, stream, first, limits):
    width, height = (first.height, first.width) if first.rotation % 180 else (first.width, first.height)
    duration = _header_duration(stream, first) or (container.duration or 0) / av.time_base
    rate = stream.average_rate or stream.guessed_rate
    fps = stream.frames / duration if stream.frames and duration else float(rate or 0)
    if not duration > 0 or not fps:
        fps, duration = _count_packets(container.name, limits)
    if fps > MAX_FPS:
        raise BadClip(f'{fps:.0f} frames a second, more than {MAX_FPS}: its header is wrong')
    if duration > limits.max_seconds:
        raise BadClip(f'lasts {duration:.0f} s, more than {limits.max_seconds}: its header is wrong, or it should be cut')
    return VideoInfo(width=width, height=height, fps=fps, duration=duration)


def _header_duration(stream, first):
    """How long the file says that its pictures last (not its sound), in s, or None."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    tag = re.fullmatch(r'(\d+):(\d+):(\d+\.?\d*)', stream.metadata.get('DURATION', ''))  # Matroska's way: when they end
    began = 0.0 if first.pts is None else float(first.pts * first.time_base)
    return float(tag[1]) * 3600 + float(tag[2]) * 60 + float(tag[3]) - began if tag else None


def _count_packets(name, limits):
    with opened(name, limits) as (container, stream):
        packets = [(packet.pts, packet.duration, packet.time_base) for packet in container.demux(stream) if packet.size]
    times = [float(pts * base) for pts, _, base in packets if pts is not None]
    span = max(times, default=0.0) - min(times, default=0.0)
    lasts = sum(float((duration or 0) * base) for _, duration, base in packets)
    if not times and lasts:  # an elementary stream
        return len(packets) / lasts, lasts
    if not span:
        raise BadClip('its frames have no times')
    return (len(times) - 1) / span, span * len(times) / (len(times) - 1)


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


def _with_times(decoded, origin, step):
    """Pairs of (s after the first frame, frame): never going back, whatever the timestamps do."""
    last, shift = -step, 0.0
    for frame in decoded:
        has_time = frame.pts is not None and origin is not None
        time = float((frame.pts - origin) * frame.time_base) + shift if has_time else last + step
        if time < last - JUMP:
            shift += last + step - time
            time = last + step
        last = max(time, last)
        yield last, frame


def _on_display(timed, targets, step, promised):
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
