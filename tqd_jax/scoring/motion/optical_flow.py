"""Dense optical flow between the pictures of a clip, and a weight of trust for each vector."""
import dataclasses
import functools
import itertools

import cv2
import numpy as np

SIDE = 96  # shorter side, in pixels, that flow is computed at
BLUR = 1.5  # sigma, in those pixels
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
LUMA_SHARE = 0.2  # weight of luma in the choice of the colour axis: decides where nothing changes
QUANTISED = 0.25  # squared grey levels that rounding alone explains
DOUBT, TRUST = 1.2, 3.0  # how many times the noise a flow must explain to count at all, and fully
BRIGHTER = 4.0  # a fade is undone up to this gain
AROUND = 9  # pixels a side that evidence is averaged over
EXPLAINED = (0.1, 0.25)  # shares of a change from which flow counts that explains so much more of it than the camera's motion, and fully
VISIBLE = 0.1  # pixels that a camera must move for what goes with it to be told from what rests


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flows:
    """Flow [P, h, w, 2] from each plane to the next, in diagonals, at every second pixel, and how far it can be trusted.

    trust [P, h, w]: in [0, 1], how far following the flow explains more of the change than noise can. certainty [P, h, w]: in [0, 1], how
    well the texture here determines the flow, be it zero. change, unexplained, largest [P]: absolute change in grey levels: mean of
    staying, mean of following, and of staying in the place that changes most. contrast [P]: sum of both planes' standard deviations.
    followed [P]: in [0, 1], how far the texture outweighs what following leaves unexplained: low for noise, which no flow explains.
    left [P, h, w]: squared grey levels around that following leaves. noise [P]: and those that noise explains.
    """
    flow: np.ndarray
    trust: np.ndarray
    certainty: np.ndarray
    change: np.ndarray
    unexplained: np.ndarray
    largest: np.ndarray
    contrast: np.ndarray
    followed: np.ndarray
    left: np.ndarray
    noise: np.ndarray


def planes(frames):
    """One plane float32 [F, h, w] a frame of uint8 [F, H, W, 3], shorter side SIDE, along the colour axis with the most change in time.

    On that axis a red ball on a dark green lawn is seen as well as a white one; luma may hardly tell the two apart.
    """
    scale = SIDE / min(frames.shape[1:3])
    size = (max(1, round(frames.shape[2] * scale)), max(1, round(frames.shape[1] * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = np.stack([cv2.resize(frame, size, interpolation=method) for frame in frames])
    axis = _colour_axis(np.stack([cv2.resize(frame, (size[0] // 3, size[1] // 3), interpolation=cv2.INTER_AREA) for frame in small]))
    return np.stack([cv2.GaussianBlur(frame @ axis, (0, 0), BLUR) for frame in small])


def _colour_axis(frames):
    """Weights [3] of R, G and B, absolute sum 1: the first principal axis of the changes between frames, drawn towards luma."""
    changes = np.diff(frames.astype(np.float32), axis=0).reshape(-1, 3)
    covariance = changes.T @ changes / max(1, len(changes))
    prior = LUMA_SHARE * np.trace(covariance) + 1e-6
    axis = np.linalg.eigh(covariance + prior * np.outer(LUMA, LUMA) / (LUMA @ LUMA))[1][:, -1]
    return (axis / np.abs(axis).sum() * (1 if axis.sum() > 0 else -1)).astype(np.float32)


def dis():
    """DIS optical flow (Kroeger et al. 2016): a function of two planes uint8 [H, W] -> [H, W, 2]."""
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    search.setFinestScale(1)
    search.setVariationalRefinementIterations(0)  # a third of the time, and no better on the orderings of docs/results/scoring.md
    return lambda one, other: search.calc(one, other, None)


def farneback():
    """Farnebaeck's optical flow (2003), slower than DIS and better at shifts of a few pixels: like dis."""
    return lambda one, other: cv2.calcOpticalFlowFarneback(one, other, None, 0.5, 4, 15, 3, 5, 1.2, 0)


FLOWS = {'dis': dis, 'farneback': farneback}


def flows(pictures, kind='dis'):
    """The Flows of planes float32 [P + 1, H, W] by one of FLOWS."""
    flow_of = FLOWS[kind]()
    pairs = zip(*(_follow(one, other, flow_of) for one, other in itertools.pairwise(pictures)), strict=True)
    return Flows(**{field.name: np.array(values) for field, values in zip(dataclasses.fields(Flows), pairs, strict=True)})


@functools.lru_cache(8)
def grid(height, width):
    """(y, x) float32 [2, height, width], not to be written to."""
    return np.mgrid[0:height, 0:width].astype(np.float32)


def trust_against(pictures, moves, camera):
    """How far Flows explain more of the change of planes [P + 1, H, W] than following `camera` [P, h, w, 2] does, [P, h, w] in [0, 1].

    More than noise can, as in Flows.trust, and more than EXPLAINED of the change itself: the share (c - f) / s, with c, f and s the squared
    errors around of following the camera, of following the flow, and of staying. None is trusted where the camera's motion leads out of the
    picture, or in: what comes and goes there moves against nothing. Where the camera does not move visibly: Flows.trust.
    """
    trust = moves.trust.copy()
    for i in np.flatnonzero(np.abs(camera).max((1, 2, 3)) * np.hypot(*pictures.shape[1:]) > VISIBLE):
        one, other, _ = _alike(pictures[i], pictures[i + 1])
        flow = cv2.resize(camera[i], one.shape[::-1]) * np.float32(np.hypot(*one.shape))
        explained = _around((one - _followed(other, flow))**2) - moves.left[i]
        share = explained / (_around((one - other)**2) + moves.noise[i])
        trust[i] = _trust(explained, moves.noise[i]) * np.clip((share - EXPLAINED[0]) / (EXPLAINED[1] - EXPLAINED[0]), 0, 1)
        trust[i] *= _around(_leads_out(flow)) == 0
    return trust


def _leads_out(flow):
    """float32 [H, W]: 1 where the flow [H, W, 2], in pixels, leads out of the picture, or in, by more than a quarter of a pixel."""
    place = np.stack(grid(*flow.shape[:2])[::-1], -1)
    last = np.float32(flow.shape[1::-1]) - 1
    inside = (place - np.abs(flow) >= -0.25) & (place + np.abs(flow) <= last + 0.25)
    return 1 - inside.all(-1).astype(np.float32)


def _follow(one, other, flow_of):
    """One pair's Flows; `other` is first brought to the mean and contrast of `one`, so that a fade is no motion."""
    largest, contrast = np.abs(one - other).max(), float(one.std()) + float(other.std())
    one, other, gain = _alike(one, other)
    flow = flow_of(*_bytes(one, other))
    change, unexplained = one - other, one - _followed(other, flow)
    stay, left, texture = (_around(energy) for energy in (change**2, unexplained**2, _texture(one)))
    rounding = QUANTISED * max(1.0, gain)**2
    noise = np.median(left) + rounding
    return (flow[::2, ::2] / np.float32(np.hypot(*one.shape)), _trust(stay - left, noise), texture / (texture + 4 * left + 4 * rounding),
            np.abs(change).mean(), np.abs(unexplained).mean(), largest, contrast, texture.sum() / (texture.sum() + 4 * left.sum() + 1e-6),
            left, noise)


def _alike(one, other):
    """Two planes, the second at the mean and contrast of the first, and the gain that this took."""
    gain = np.float32(np.clip(float(one.std()) / max(1e-3, float(other.std())), 1 / BRIGHTER, BRIGHTER))
    return one, (other - other.mean()) * gain + one.mean(), float(gain)


def _followed(other, flow):
    """What is where the flow [H, W, 2], in pixels, leads to."""
    y, x = grid(*other.shape)
    return cv2.remap(other, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _around(energy):
    return cv2.blur(energy, (AROUND, AROUND))[::2, ::2]


def _trust(explained, noise):
    return np.clip((explained / noise - DOUBT) / (TRUST - DOUBT), 0, 1)


def _bytes(*pictures):
    """Planes on one scale as uint8; a range beyond 255 grey levels (the colour axis may have negative weights) is shrunk."""
    low, high = min(p.min() for p in pictures), max(p.max() for p in pictures)
    scale = min(1.0, 255 / max(1e-3, high - low))
    return [((p - low) * scale).round().astype(np.uint8) for p in pictures]


def _texture(plane):
    """Squared slope [H, W]."""
    dx, dy = cv2.Sobel(plane, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(plane, cv2.CV_32F, 0, 1, scale=1 / 8)
    return dx * dx + dy * dy
