"""How many pictures a second a video shows, and for how long: by the frames that are shown, where headers count others."""
import dataclasses
import re

import av

from tqd_jax.clips.container import opened
from tqd_jax.clips.places import BadClip

LONGEST_HOLD = 10.0  # s; a last picture that stays longer, and longer than all before it, is a wrong number
MAX_FPS = 10_000  # more is a damaged header
JUMP = 1.0  # s; timestamps that go back by more than this have started anew
UNEVEN = 0.25  # of a frame's time, by which the first one may differ from the header's before packets are counted
MILLISECONDS = 2e-3  # s, to which many containers round
INDEXED = ('mov', 'avi')  # containers whose index has every frame, where their header counts frames


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timing:
    """Average frames per second, seconds from the first whole frame on, and how long the header says that these last (s or None)."""
    fps: float
    duration: float
    promised: float | None


def timing_of(container, stream, opening, limits):
    """The Timing of a stream whose first decoded frames are `opening`, two or more. Raises BadClip where it is none of a video."""
    lost, promised = _lost(stream, opening[0]), _promised(stream, opening[0])
    duration = promised or (container.duration or 0) / av.time_base
    claimed = float(stream.average_rate or stream.guessed_rate or 0)
    counted = None if lost else _by_index(container, stream, opening[0])
    if counted is None and not (duration > 0 and claimed and not lost and _is_even(opening, claimed)):
        counted = _by_packets(container.name, stream, opening[0], limits)
    rate, span = counted or (claimed, duration)
    if lost or not duration > 0 or not is_hold(span, duration - span):
        duration = span
    if not (duration > 0 and rate):
        raise BadClip('its frames have no times')
    return _checked(Timing(fps=rate, duration=duration, promised=None if lost else promised), limits)


def is_hold(before, seconds):
    """Whether a last picture that came `before` s after the first may well stay for so many seconds, or its duration is a wrong number."""
    return seconds <= max(LONGEST_HOLD, before)


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


def _by_index(container, stream, first):
    """(frames a second, seconds) of the shown frames that the container's index lists, or None where it does not list them all."""
    index = stream.index_entries
    if container.format.name.split(',')[0] not in INDEXED or not stream.frames or len(index) < 2:
        return None
    ends = index[0], index[-1]
    plain = len(index) == stream.frames and not any(end.is_discard for end in ends)
    if plain and not container.format.name.startswith('avi'):  # which has entries for frames that were dropped
        return _rate(len(index), (ends[1].timestamp - ends[0].timestamp) * stream.time_base)
    entries = list(index)
    keys = [i for i, entry in enumerate(entries) if entry.is_keyframe and first.pts is not None and entry.timestamp <= first.pts]
    times = [entry.timestamp for entry in entries[keys[-1] if keys else 0:] if not entry.is_discard and entry.size]
    return _rate(len(times), (times[-1] - times[0]) * stream.time_base) if times else None


def _rate(count, span):
    """(frames a second, seconds) of `count` frames, span s from the first to the last; None where that says nothing."""
    return (float((count - 1) / span), float(span * count / (count - 1))) if count > 1 and span > 0 else None


def _by_packets(name, stream, first, limits):
    """(frames a second, seconds) by the times of all packets from the first whole frame on, or None where they have none."""
    origin, last, times = first.pts or 0, None, []
    with opened(name, limits) as (container, again):
        for packet in container.demux(again):
            if packet.pts is not None and _is_shown(packet, again):
                time = float((packet.pts - origin) * packet.time_base)
                origin, time = (origin, time) if last is None or time > last - JUMP else (packet.pts - last / packet.time_base, last)
                last = time
                times.append(time)
    times = [time for time in times if time > -MILLISECONDS] if first.pts is not None else times
    return _rate(len(times), max(times) - min(times)) if times else None


def _is_shown(packet, stream):
    """Whether a packet has a frame to show: VP8's alternative references have none, and an edit list hides some."""
    return packet.size > 0 and not packet.is_discard and (stream.codec_context.name != 'vp8' or bool(memoryview(packet)[0] & 0x10))
