"""How many pictures a second a video shows, and for how long: by the frames that are shown, where headers count others."""
import dataclasses
import math
import os
import re

import av
import numpy as np

from tqd_jax.clips.container import opened
from tqd_jax.clips.places import BadClip

LONGEST_HOLD = 10.0  # s; a last picture that stays longer, and longer than all before it, is a wrong number
MAX_FPS = 10_000  # more is a damaged header
REORDERED = 4  # frames by which the first one may come late without a pause, since others are decoded before it
JUMP = 1.0  # s; timestamps that go back by more than this have started anew
UNEVEN = 0.25  # of a frame's time, by which the first one may differ from the header's before packets are counted
MILLISECONDS = 2e-3  # s, to which many containers round
SMALL = 2**22  # bytes of a file whose packets are counted in any case, where no index lists them
INDEXED = ('mov', 'avi')  # containers whose index has every frame, where their header counts frames


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timing:
    """Average frames per second, seconds from the first whole frame on, and how long the header says that these last (s or None)."""
    fps: float
    duration: float
    promised: float | None


@dataclasses.dataclass(frozen=True)
class _Count:
    """Frames that are shown: how many a second, seconds with an average time for the last, and the end of the last by its own duration.

    joined: whether timestamps start anew on the way, as where files were joined byte by byte; headers then tell of one part.
    """
    rate: float
    span: float
    end: float
    joined: bool = False


def timing_of(container, stream, opening, limits):
    """The Timing of a stream whose first decoded frames are `opening`, two or more. Raises BadClip where it is none of a video."""
    lost, promised = _lost(stream, opening[0]), _promised(stream, opening[0])
    claimed, duration = float(stream.average_rate or stream.guessed_rate or 0), promised or (container.duration or 0) / av.time_base
    counted = None if lost else _by_index(container, stream)
    if counted:
        duration = _without_pause(duration, stream, counted)
    elif lost or not (duration > 0 and claimed and _is_even(opening, claimed) and os.path.getsize(container.name) > SMALL):
        counted = _by_packets(container.name, stream, opening[0], claimed, limits)
        duration = _of_whole_frames(duration, stream, counted) if counted else duration
    counted = counted or _Count(claimed, duration, duration)
    if lost or not duration > 0 or counted.joined or _is_wrong(duration, counted):
        duration, promised = counted.span, None
    if not (duration > 0 and counted.rate):
        raise BadClip('its frames have no times')
    return _checked(Timing(fps=counted.rate, duration=duration, promised=promised and duration), limits)


def _is_wrong(duration, counted):
    """Whether the last picture is to stay for so long that this is a wrong number; a file that was cut off lacks frames instead."""
    return duration - counted.span > max(LONGEST_HOLD, counted.span) and counted.end > 0.9 * duration


def _without_pause(duration, stream, counted):
    """The duration that a header says, without the pause that an edit list begins with where it counts it."""
    pause = float((stream.start_time or 0) * stream.time_base)
    counts = pause * counted.rate > REORDERED and abs(duration - pause - counted.span) < abs(duration - counted.span)
    return duration - pause if counts else duration


def _of_whole_frames(duration, stream, counted):
    """The duration that a header says, mended where it counts from 0 and not from the first frame, which stands behind frames that are
    decoded before it (DASH, FLV), and where it ends when the last frame begins (FLV without a duration)."""
    delay = float((stream.start_time or 0) * stream.time_base)
    if abs(duration - delay - counted.end) < MILLISECONDS:
        return duration - delay
    return counted.span if 0 < duration < counted.span - 1 / counted.rate + MILLISECONDS else duration


def _checked(timing, limits):
    if timing.fps > MAX_FPS:
        raise BadClip(f'{timing.fps:.0f} frames a second, more than {MAX_FPS}: its header is wrong')
    if timing.duration > limits.max_seconds:
        raise BadClip(f'lasts {timing.duration:.0f} s, more than {limits.max_seconds}: its header is wrong, or it should be cut')
    return timing


def _lost(stream, first):
    """Seconds before the first whole frame that cannot be decoded, as where a file starts between key frames; 0 within two frames."""
    if first.pts is None or stream.start_time is None:
        return 0.0
    seconds = float(first.pts * first.time_base - stream.start_time * stream.time_base)
    return seconds if seconds * float(stream.average_rate or 25) > 2 else 0.0


def _promised(stream, first):
    """How long the file says that its pictures last (not its sound), in s, or None."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    tag = re.fullmatch(r'(\d+):(\d+):(\d+\.?\d*)', stream.metadata.get('DURATION', ''))  # Matroska's way: when they end
    began = 0.0 if first.pts is None else float(first.pts * first.time_base)
    return float(tag[1]) * 3600 + float(tag[2]) * 60 + float(tag[3]) - began if tag else None


def _is_even(opening, claimed):
    """Whether the first frame lasts about as long as the header says of all."""
    if opening[0].pts is None or opening[1].pts is None:
        return True
    step = float((opening[1].pts - opening[0].pts) * opening[0].time_base)
    return abs(step - 1 / claimed) <= max(MILLISECONDS, UNEVEN / claimed)


def _by_index(container, stream):
    """The _Count frames that the container's index lists, or None where it does not list them all."""
    index = stream.index_entries
    if container.format.name.split(',')[0] not in INDEXED or not stream.frames or len(index) < 2:
        return None
    first, last = index[0], index[-1]
    if len(index) == stream.frames and not first.is_discard and not last.is_discard and container.format.name != 'avi':
        return _counted(len(index), (last.timestamp - first.timestamp) * stream.time_base, math.inf)
    times = [entry.timestamp for entry in index if not entry.is_discard and entry.size]  # AVI lists frames that were dropped, of size 0
    return _counted(len(times), (times[-1] - times[0]) * stream.time_base, math.inf) if times else None


def _counted(count, span, end, joined=False):
    """_Count of `count` frames, span s from the first to the last; None where that says nothing."""
    return _Count(float((count - 1) / span), float(span * count / (count - 1)), end, joined) if count > 1 and span > 0 else None


def _by_packets(name, stream, first, claimed, limits):
    """_Count by the times of all packets from the first whole frame on, or None where they have none."""
    origin, last, times, end, lasts, joined = first.pts or 0, None, [], 0.0, [], False
    with opened(name, limits) as (container, again):
        for packet in container.demux(again):
            lasts.append(float((packet.duration or 0) * packet.time_base) if packet.size else 0.0)
            if packet.pts is not None and _is_shown(packet, again):
                time = float((packet.pts - origin) * packet.time_base)
                if last is not None and time < last - JUMP:
                    time, joined = max(times) + (float((packet.duration or 0) * packet.time_base) or 1 / (claimed or 25)), True
                    origin = packet.pts - time / packet.time_base
                last, end = time, max(end, time + float((packet.duration or 0) * packet.time_base))
                times.append(time)
    if not times and any(lasts):  # an elementary stream
        return _Count(np.count_nonzero(lasts) / sum(lasts), sum(lasts), sum(lasts))
    times = [time for time in times if time > -MILLISECONDS] if first.pts is not None else times
    counted = _counted(len(times), max(times) - min(times), end, joined) if times else None
    fields = counted and first.interlaced_frame and abs(counted.rate / (claimed or 1) - 2) < 0.1  # some have a packet for each field
    return dataclasses.replace(counted, rate=claimed) if fields else counted


def _is_shown(packet, stream):
    """Whether a packet has a frame to show: VP8's alternative references have none, and an edit list hides some."""
    return packet.size > 0 and not packet.is_discard and (stream.codec_context.name != 'vp8' or bool(memoryview(packet)[0] & 0x10))
