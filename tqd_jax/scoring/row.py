"""A clip becomes a row: every raw measure and both scores of one file, or the reason why not."""
import contextlib
import dataclasses
import functools
import os

import cv2
import numpy as np

from tqd_jax.clips.container import Limits, is_of_content
from tqd_jax.clips.content import content_id
from tqd_jax.clips.display import probe
from tqd_jax.clips.pictures.options import PictureOptions
from tqd_jax.clips.places import BadClip, local_copy
from tqd_jax.clips.read import read_views
from tqd_jax.scoring.duplicates import fingerprint
from tqd_jax.scoring.measures import VERSION
from tqd_jax.scoring.motion.codec import codec_motion
from tqd_jax.scoring.motion.motion import motion, sampling_rate
from tqd_jax.scoring.motion.optical_flow import FLOWS, SIDE
from tqd_jax.scoring.visual import niqe_model
from tqd_jax.scoring.visual.visual import visual

WINDOW, WINDOWS = 3.0, 4  # seconds of a clip that are measured at a time, and how often; a shorter clip is measured whole
STILLS, STILL_SIDE = 8, 540  # frames that visual quality is measured on, and the short side that they are shrunk to


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What a row depends on beside the clip. Raises ValueError on an unknown flow or a negative threshold.

    flow: one of optical_flow.FLOWS. niqe: the file of another NIQE model than the shipped one. codec: measure 'motion_codec' too.
    min_codec_motion: a first pass, several times cheaper than the whole: a clip whose codec's motion vectors are shorter is not
    measured further. background, deinterlace: of PictureOptions.
    """
    flow: str = 'dis'
    niqe: str | None = None
    codec: bool = False
    min_codec_motion: float = 0.0
    limits: Limits = Limits()
    background: str = PictureOptions.background
    deinterlace: str = PictureOptions.deinterlace

    def __post_init__(self):
        if self.flow not in FLOWS or not self.min_codec_motion >= 0:
            raise ValueError(f'flow is one of {", ".join(FLOWS)} and min_codec_motion at least 0, got {self.flow!r} and '
                             f'{self.min_codec_motion}')
        _ = self.pictures  # its own checks

    @property
    def pictures(self):
        """The PictureOptions."""
        return PictureOptions(background=self.background, deinterlace=self.deinterlace)

    @property
    def version(self):
        """What 'scorer_version' says: rows of one version compare."""
        values = {field.name: (getattr(self, field.name), field.default) for field in dataclasses.fields(self)}
        changed = {name: value for name, (value, default) in values.items() if value != default}
        if self.niqe:
            changed['niqe'] = content_id(self.niqe)[:8]
        if self.limits != Limits():
            changed['limits'] = ' '.join(str(value) for value in dataclasses.astuple(self.limits))
        return ','.join([VERSION, *(f'{name}={value}' for name, value in changed.items())])


def score_clip(path, settings: Settings = Settings()) -> dict:
    """One clip's motion, visual, every raw measure of measures.MEASURES, width, height, fps, duration and fingerprint. Raises BadClip.

    What is measured are the first to the last 3 s in four evenly spaced windows, or all of a clip of up to 12 s; a measure of motion is the
    mean of the windows'. So a long clip costs what a short one does, and a slowed copy is measured on the same scenes.
    """
    with local_copy(os.fspath(path), settings.limits.max_fetched) as file:
        info = probe(file, limits=settings.limits)
        raw = {'motion_codec': _first_pass(file, settings)}
        windows = windows_of(info.duration)
        read = functools.partial(read_views, file, rate=sampling_rate(info.fps), side=SIDE, stills=STILLS // len(windows),
                                 still_side=STILL_SIDE, limits=settings.limits, options=settings.pictures)
        moves, stills = zip(*(_window(read(start=start, seconds=seconds), settings) for start, seconds in windows), strict=True)
    frames = np.concatenate(stills)
    raw |= {name: float(np.mean([move[name] for move in moves])) for name in moves[0]}
    raw |= visual(frames, min(frames.shape[1:3]) / min(info.width, info.height), _model(settings.niqe))
    return dataclasses.asdict(info) | raw | {'fingerprint': fingerprint(frames)}


def windows_of(duration):
    """[(start, seconds)] of what is measured of a clip of `duration` s."""
    last = duration - WINDOW
    if last < (WINDOWS - 1) * WINDOW:
        return [(0.0, WINDOWS * WINDOW)]
    return [(float(start), WINDOW) for start in np.linspace(0, last, WINDOWS)]


def _window(views, settings):
    clip, stills = views
    return motion(clip.frames, clip.times, settings.flow) | {'repeated': clip.repeated, 'interlaced': clip.interlaced}, stills


def _first_pass(file, settings):
    if not (settings.codec or settings.min_codec_motion):
        return None
    moved = codec_motion(file, settings.limits)
    if moved is not None and moved < settings.min_codec_motion:
        raise BadClip(f'hardly moves: the codec\'s motion vectors have {moved:.4f} diagonals a second, less than '
                      f'{settings.min_codec_motion:g}')
    return moved


@functools.cache
def _model(path):
    return niqe_model.load(path or niqe_model.SHIPPED)


def measured_row(path, settings=Settings(), has_row=lambda key: False):
    """{'id', **score_clip} of a clip, or {'id', 'reason': why not}; nothing but a dead process keeps it from answering.

    has_row: whether the row of an id is there already; then the answer is {'id'} alone. A reason without 'id' is of the file, the limits of
    memory or this machine, and not of the content: another try may end otherwise.
    """
    row = {}
    try:
        with local_copy(path, settings.limits.max_fetched) as file:
            if os.path.isfile(file):  # what else it is, decoding says; reading a pipe or a device would not end
                with contextlib.suppress(OSError):
                    row['id'] = content_id(file)
            if 'id' in row and has_row(row['id']):
                return row
            return row | score_clip(file, settings)
    except BadClip as error:
        return (row if is_of_content(error) else {}) | {'reason': str(error)}
    except Exception as error:  # one clip in a million must not end the run; the reason names the bug
        return {'reason': why(error)}


def why(error):
    """The reason, on one line, of a clip whose measuring raised `error`."""
    if isinstance(error, BadClip):
        return str(error)
    if isinstance(error, MemoryError) or (isinstance(error, cv2.error) and 'memory' in str(error)):
        return 'too large for the memory'
    return f'cannot be measured ({type(error).__name__}: {" ".join(str(error).split())[:200]})'
