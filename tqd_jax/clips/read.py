"""Clips of video files as arrays: a window, upright, shrunk, in RGB."""
import dataclasses

import numpy as np
from av.video.reformatter import VideoReformatter
from jaxtyping import Float64, UInt8

from tqd_jax.clips.container import Limits, report_repeats
from tqd_jax.clips.display import VideoInfo, frames_on_display
from tqd_jax.clips.pictures.fields import interlaced_share, watch_fields
from tqd_jax.clips.pictures.options import PictureOptions
from tqd_jax.clips.places import BadClip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clip(VideoInfo):
    """A decoded window: frames uint8 [F, H, W, 3] RGB, and when each came on display, float64 [F] in s after the first frame.

    repeated: the share of the file's frames there, shown or not, whose first plane repeats that of the frame before; None if unasked.
    interlaced: the share that is interlaced (pictures/fields.py: interlaced_share); None if unasked.
    """

    frames: UInt8[np.ndarray, 'frames height width 3']
    times: Float64[np.ndarray, ' frames']
    repeated: float | None = None
    interlaced: float | None = None


def read_clip(path, *, rate: float, start: float = 0.0, seconds: float | None = None, short_side: int | None = None,
              limits: Limits = Limits(), options: PictureOptions = PictureOptions()) -> Clip:
    """The frames shown at start, start + 1/rate, ... s after the first frame, for `seconds` or to the end, whichever is first.

    Goes by presentation times, so a variable frame rate is sampled as a viewer sees it. Pictures are as a player shows them: upright, in
    square pixels, in BT.709's colours (a high dynamic range is tone-mapped), over a background where they are transparent; and shrunk by
    area averaging to `short_side` where that is smaller. A damaged frame is replaced by the one before it.

    Raises BadClip: not a video, fewer than two frames, a size outside `limits`, nothing to show at `start`, or cut off (mp4 and mov are
    then refused whole, since the index tells; mkv, webm and avi when the window reaches the cut; a gif does not know its length).
    """
    with frames_on_display(path, rate, start, seconds, limits, options) as (info, rendering, pairs):
        times, frames = _pictures(pairs, rendering, short_side, limits)
    return Clip(frames=_stack(frames), times=np.array(times), **dataclasses.asdict(info))


def read_views(path, *, rate, start=0.0, seconds, side, stills, still_side, limits=Limits(), options=PictureOptions()):
    """What a window is measured on: the Clip that read_clip returns, and `stills` of its frames, larger: uint8 [<= stills, H, W, 3].

    The Clip's frames are shrunk to `side` straight from the file's own colours, ten times as fast as by area averaging and nearly the same;
    the stills, each in the middle of an equal part of the window, are shrunk to `still_side` as read_clip does. Raises as read_clip.
    """
    repeats, fields = [], []
    watch = lambda decoded: watch_fields(report_repeats(decoded, repeats.append), fields)
    with frames_on_display(path, rate, start, seconds, limits, options, watch) as (info, rendering, pairs):
        expected = min(round(seconds * rate), max(1, int((info.duration - start) * rate)))
        chosen = {int((k + 0.5) * expected / stills) for k in range(stills)}
        reformatter, size, still_size = VideoReformatter(), rendering.size(side), rendering.size(still_side)
        times, frames, large, previous = [], [], [], None
        for number, (time, frame) in enumerate(pairs):
            if frame is not previous:
                small, previous = rendering.quick(frame, reformatter, size), frame
            if number in chosen:
                large.append(rendering.picture(frame, VideoReformatter(), still_size))
            times.append(time)
            frames.append(small)
        large = large or [rendering.picture(previous, VideoReformatter(), still_size)]  # where pictures end before the first middle
    clip = Clip(frames=_stack(frames), times=np.array(times), repeated=float(np.mean(repeats or [0])), interlaced=interlaced_share(fields),
                **dataclasses.asdict(info))
    return clip, _stack(large)


def _pictures(pairs, rendering, short_side, limits):
    """Lists of times and of upright RGB arrays; a frame that stays on display is converted once."""
    reformatter, size = VideoReformatter(), rendering.size(short_side)
    times, frames, previous = [], [], None
    for time, frame in pairs:
        if frame is not previous:
            picture, previous = rendering.picture(frame, reformatter, size), frame
        times.append(time)
        frames.append(picture)
        if picture.nbytes * len(frames) > limits.max_bytes:
            raise BadClip(f'more than {limits.max_bytes} bytes decoded: read less of it, or shrink it more')
    return times, frames


def _stack(frames):
    """np.stack of a list that it empties on the way, so that a clip is in memory once and not twice."""
    stacked = np.empty((len(frames), *frames[0].shape), np.uint8)
    for i in reversed(range(len(frames))):
        stacked[i] = frames.pop()
    return stacked
