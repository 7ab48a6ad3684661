"""The motion of a clip: optical flow per second over the frame's diagonal, the camera's part, smoothness, cuts."""
import dataclasses

import cv2
import numpy as np

from tqd_jax.scoring.measures import motion_score
from tqd_jax.scoring.motion.bars import moving_bars
from tqd_jax.scoring.motion.camera import affine_flow, camera_affine, camera_support, lengths
from tqd_jax.scoring.motion.lasting import lasting, persistence, steady
from tqd_jax.scoring.motion.optical_flow import flows, planes, trust_against
from tqd_jax.scoring.motion.tickers import ticker_mask

SLOWEST = 10.0  # frames a second to look at, up to twice as many: finer steps are followed no better, coarser ones lose fast hands
TOP = 0.05  # share of the pixels that move most, as in VBench's dynamic degree
LAG = 0.25  # s between the pictures whose difference is taken
FAINT = 4.0  # grey levels of contrast or change that are not told from noise
STILL = 2.0  # grey levels; where no pixel changes by more, nothing does
CUT, OUTSTANDING = 0.075, 2.5  # a cut leaves more than this unexplained, and so many times more than the pairs around it
NEAR = 3  # of them before and after
NOISE, DOUBT, PICTURE = 0.065, 0.11, 0.16  # Flows.followed of nothing but noise; below it, flow must go on; above it, none needs to
PERSISTS = 0.3  # persistence below which a camera shakes, whatever part of the picture it has
CLEAR, AROUND = (0.06, 0.12), 9  # certainty of a place as noise has it, and from which flow is believed; vectors a side of a place
SUPPORT = (0.14, 0.24)  # share of the picture that goes with the camera below which no shaking is undone, and from which all is
VISIBLE = 0.004  # diagonals that a camera must move for what rests to be seen moving against it
PATHS = ('motion_top', 'motion_mean', 'motion_camera', 'motion_object')
PAUSE = 3  # frames of display that are no rounding of an uneven frame rate
MOVING = ('flow', 'trust', 'change', 'unexplained', 'largest')  # what is nothing in a pause
BLOCKS = (16, 9)  # places whose velocity is followed through time


def sampling_rate(fps):
    """Frames a second to look at a file of `fps`: fps / 2^k in [10, 20), or fps itself where it is lower.

    A power of two, so that a copy with every second frame left out is measured on the same frames.
    """
    return fps / 2 ** max(0, np.floor(np.log2(fps / SLOWEST) + 1e-2))


def motion(frames, times, flow='dis'):
    """Raw measures of frames uint8 [F, H, W, 3] shown at times [F] in s; 'motion', in frame diagonals a second, is the score: see
    measures.motion_score.

    For each pair of different frames, optical flow (one of FLOWS) along the colour axis that changes most. A pixel counts as far as
    following its flow explains more of the change around it than noise can: nothing explains noise. Lengths are paths over the time they
    took, in diagonals a second:

        motion_top     of the 5 % of pixels that move most
        motion_mean    of all pixels
        motion_camera  of the camera's affine motion, mean over the picture
        motion_object  of the 5 % of pixels that move most against the camera's motion
        motion_change  mean absolute change of the blurred picture in 1/4 s, grey levels (as VMAF's motion feature, at a fixed lag)
        jerk           mean change of a place's acceleration, diagonals / s^3
        frozen         share of the time in which nothing changes
        cuts           a second; their pairs are left out of all others
    """
    fresh = np.flatnonzero(np.diff(times, prepend=-np.inf) > 0)
    if len(fresh) < 2:
        return dict.fromkeys(('motion', *PATHS, 'motion_change', 'jerk', 'cuts'), 0.0) | {'frozen': 1.0}
    pictures = planes(frames[fresh])
    moves = _masked(flows(pictures, flow), ticker_mask(pictures, STILL) | moving_bars(pictures))
    pictures, times, moves = _with_pauses(pictures, times[fresh], moves, np.diff(fresh, append=len(frames)))
    steps = np.diff(times)
    cut = _cuts(moves.unexplained / (moves.contrast + FAINT), moves.unexplained / np.maximum(moves.change, FAINT))
    seconds = steps[~cut].sum() or np.inf
    raw = {name: float(path[~cut].sum() / seconds) for name, path in zip(PATHS, _paths(pictures, moves, steps, cut), strict=True)} | {
        'motion_change': _change(pictures, times, cut), 'jerk': _jerk(moves.flow * moves.trust[..., None], steps, cut),
        'frozen': float(steps[moves.largest <= STILL].sum() / steps.sum()), 'cuts': float(cut.sum() / steps.sum())}
    return raw | {'motion': motion_score(raw)}


def _masked(moves, mask):
    """Flows without the vectors under a mask bool [h, w], in pixels of the pictures."""
    if not mask.any():
        return moves
    seen = ~mask[::2, ::2]
    return dataclasses.replace(moves, flow=moves.flow * seen[..., None], trust=moves.trust * seen, certainty=moves.certainty * seen,
                               left=np.where(seen, moves.left, np.float32(np.inf)))


def _with_pauses(pictures, times, moves, lengths):
    """Pictures, times and Flows as they would be of a file that repeats a picture while nothing comes.

    lengths: for how many frames each picture was on display. A shorter stay than PAUSE is the rounding of an uneven frame rate.
    """
    stays = np.where(lengths >= PAUSE, lengths, 1)
    stays[-1] = stays[-1] - 1 if stays[-1] > 1 else 0  # pairs that begin with the last picture
    period = (times[-1] - times[0]) / lengths[:-1].sum()
    pair = np.repeat(np.arange(len(stays)), stays)
    moving = np.append(np.diff(pair) > 0, stays[-1] == 0)
    source = np.minimum(pair, len(moves.flow) - 1)
    still = {name: getattr(moves, name)[source] * moving.reshape(-1, *[1] * (getattr(moves, name).ndim - 1)) for name in MOVING}
    step = np.append(np.diff(times) / stays[:-1], period)[pair]
    held = dataclasses.replace(moves, **still, certainty=moves.certainty[source], contrast=moves.contrast[source],
                               followed=moves.followed[source], left=moves.left[source], noise=moves.noise[source])
    return pictures[np.append(0, pair + moving)], times[0] + np.append(0, np.cumsum(step)), held


def _paths(pictures, moves, steps, cut):
    """How far each pair of pictures moved [P], in diagonals, by each of PATHS."""
    shot, lively = np.where(cut, -1, np.cumsum(cut)), ~cut & (moves.largest > STILL)
    if not lively.any():
        return (np.zeros(len(cut)),) * len(PATHS)
    followed = moves.followed[lively].mean()
    believed = _share(followed, NOISE, DOUBT)  # nothing explains noise
    affine = camera_affine(moves.flow, moves.certainty)
    seen = affine_flow(affine, moves.flow.shape)
    camera = affine_flow(steady(affine, steps, shot, lively), moves.flow.shape)
    panned = lengths(camera).mean((1, 2))
    supported = _share(camera_support(moves.flow, seen, moves.certainty)[lively].mean(), *SUPPORT)
    shaken = np.maximum(supported, 1 - _share(persistence(affine, shot, lively), 0.0, PERSISTS)) * (seen - camera)
    rest = moves.certainty * np.minimum(1, panned / VISIBLE)[:, None, None]  # against a camera that moves, to rest is to move
    weight = (believed * np.maximum(moves.trust, rest))[..., None]
    own = (moves.flow - seen) * (believed * trust_against(pictures, moves, seen))[..., None]
    own *= lasting(own, moves.flow, lengths(shaken).mean((1, 2)), shot, _clear(moves.certainty, followed))[..., None]
    size = lengths((seen - shaken) * weight + own)
    return _top(size), size.mean((1, 2)), believed * panned, _top(lengths(own))


def _clear(certainty, followed):
    """How clear of noise a clip is around each vector, [P, h, w] in [0, 1]."""
    around = np.stack([cv2.blur(one, (AROUND, AROUND)) for one in certainty])
    return np.minimum(_share(around, *CLEAR), _share(followed, DOUBT, PICTURE))


def _share(value, low, high):
    """Where values lie between low and high, float32 in [0, 1]."""
    return np.clip((value - low) / (high - low), 0, 1).astype(np.float32)


def _top(size):
    count = max(1, int(TOP * size[0].size))
    return np.partition(size.reshape(len(size), -1), -count)[:, -count:].mean(1)


def _change(pictures, times, cut):
    """Mean absolute difference of pictures LAG apart, a cut between them left out."""
    lag = max(1, round(LAG / np.median(np.diff(times))))
    whole = [i for i in range(len(pictures) - lag) if not cut[i:i + lag].any()]
    gaps = times[lag:] - times[:len(times) - lag]
    return float(np.mean([np.abs(pictures[i + lag] - pictures[i]).mean() * LAG / gaps[i] for i in whole])) if whole else 0.0


def _jerk(flow, steps, cut):
    """Mean |second difference of velocity| / step^2 of places whose flow [P, h, w, 2] in diagonals took steps [P] in s."""
    velocity = np.stack([cv2.resize(one, BLOCKS, interpolation=cv2.INTER_AREA) for one in flow]) / steps[:, None, None, None]
    whole = ~(cut[2:] | cut[1:-1] | cut[:-2])
    size = np.linalg.norm(np.diff(velocity, 2, axis=0), axis=-1).mean((1, 2)) / (steps[2:] * steps[1:-1]) if len(steps) > 2 else np.zeros(0)
    return float(size[whole].mean()) if whole.any() else 0.0


def _cuts(unexplained, share):
    """Pairs whose change no flow explains, and which stand out from their neighbours; one more cut nearby hides neither."""
    cut = np.zeros(len(share), bool)
    for i, value in enumerate(unexplained):
        near = np.sort(np.r_[unexplained[max(0, i - NEAR):i], unexplained[i + 1:i + 1 + NEAR]])
        cut[i] = len(near) > 1 and value > max(CUT, OUTSTANDING * near[-2]) and share[i] > 0.5
    return cut
