"""Degradations that make a clip worse in one thing only, its visual quality or its motion, in memory and without a codec."""
import math

import cv2
import numpy as np
import scipy.fft

DETAIL = ('blur', 'noise', 'resolution', 'blocks')  # fine detail suffers and motion does not, as a law set by hand expects
OTHER = ('colour', 'drops')  # no law set by hand expects: a wrong colour shows at every noise level, repeated frames spoil motion
DEGRADATIONS = (*DETAIL, *OTHER)  # a clip's `degradation` is an index into this
MOTIONS = ('slow', 'held')
SIGMA = 0.1  # of the worst blur, in frame widths
NOISE = 60.0  # standard deviation of the worst noise, in grey levels
SHRINK = 3.0  # the worst resolution has 1 / (1 + SHRINK) of the pixels of a side; the divisor rises with severity squared
STEP = 100.0  # quantiser of the highest frequency of the worst blocks, in grey levels per pixel of the block's side
TURN = 2 * math.pi / 3  # of the worst colours, around the grey axis: red becomes green
REPEATED = 0.8  # share of frames that the worst drops repeat


def degrade_visual(frames, kind, severity, rng):
    """A copy of frames uint8 [F, H, W, 3] of worse visual quality, uint8 of the same shape.

    kind: one of DEGRADATIONS; 'drops' repeats frames, and is among them because it comes with clips of poor visual quality. severity: in
    [0, 1], from nothing to the worst at which the object is still recognised. rng: numpy Generator of the noise and of the repeated
    frames. Raises ValueError for another kind or severity.
    """
    _check(kind, DEGRADATIONS, severity)
    if severity == 0:
        return frames.copy()
    degrade = {'blur': _blur, 'noise': _add_noise, 'resolution': _coarsen, 'blocks': _quantise_blocks, 'colour': _turn_colours,
               'drops': _repeat_frames}[kind]
    return _to_bytes(degrade(frames, severity, rng))


def degrade_motion(frames, kind, severity):
    """A copy of frames [F, H, W, 3] of worse motion; every frame of it is a frame of the original, so visual quality stays.

    kind: 'slow' shows frame round(i (1 - severity)) at i; 'held' shows a new frame only every 1 + severity (F - 1) frames, rounded. At
    severity 1 in [0, 1] both are frozen. Raises ValueError for another kind or severity. render.render_slow renders a slow copy smoothly.
    """
    _check(kind, MOTIONS, severity)
    positions = np.arange(len(frames))
    if kind == 'slow':
        return frames[np.floor(positions * (1 - severity) + 0.5).astype(int)]
    every = round(1 + severity * (len(frames) - 1))
    return frames[positions // every * every]


def _check(kind, kinds, severity):
    if kind not in kinds or not 0 <= severity <= 1:
        raise ValueError(f'{kind} at severity {severity}: it must be one of {", ".join(kinds)} at 0 to 1')


def _to_bytes(frames):
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8)


def _blur(frames, severity, rng):
    sigma = SIGMA * severity * frames.shape[2]
    return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE) for frame in frames.astype(np.float32)])


def _add_noise(frames, severity, rng):
    return frames + np.float32(NOISE * severity) * rng.standard_normal(frames.shape, np.float32)


def _coarsen(frames, severity, rng):
    height, width = frames.shape[1:3]
    small = tuple(round(side / (1 + SHRINK * severity**2)) for side in (width, height))
    shrunk = (cv2.resize(frame, small, interpolation=cv2.INTER_AREA) for frame in frames)
    return np.stack([cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR) for frame in shrunk])


def _quantise_blocks(frames, severity, rng):
    """The cosine transform of every block, quantised: the coarser, the higher the frequency. Sides are multiples of the block's."""
    count, height, width, _ = frames.shape
    side = 4 if min(height, width) < 32 else 8
    blocks = frames.reshape(count, height // side, side, width // side, side, 3).astype(np.float32)
    step = STEP * side * severity**1.5 * (1 + np.add.outer(np.arange(side), np.arange(side), dtype=np.float32)) / (2 * side - 1)
    step = step[:, None, :, None]  # over [side, block, side, channel]
    quantised = np.rint(scipy.fft.dctn(blocks, axes=(2, 4), norm='ortho') / step) * step
    return scipy.fft.idctn(quantised, axes=(2, 4), norm='ortho').reshape(frames.shape)


def _turn_colours(frames, severity, rng):
    """Colours turned around the grey axis by TURN * severity (Rodrigues' formula); greys stay."""
    angle, axis = TURN * severity, np.full(3, 1 / math.sqrt(3))
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    turn = math.cos(angle) * np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * np.outer(axis, axis)
    return frames.astype(np.float32) @ turn.T.astype(np.float32)


def _repeat_frames(frames, severity, rng):
    """Every frame but the first repeats the one before it with probability REPEATED * severity."""
    new = np.concatenate([[True], rng.random(len(frames) - 1) >= REPEATED * severity])
    return frames[np.maximum.accumulate(np.where(new, np.arange(len(frames)), 0))]
