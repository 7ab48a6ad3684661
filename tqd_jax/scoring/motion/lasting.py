"""What lasts of the flow: a camera's motion without its shaking, and how far a motion goes on from pair to pair."""
import cv2
import numpy as np

from tqd_jax.scoring.motion.optical_flow import grid

STEADY = 6  # pairs before and after that a camera's velocity is averaged over, some 0.5 s: what goes to and fro within that is no motion
CELL, AROUND, PAIRS = 4, 3, 2  # vectors a side of a cell; cells a side, and pairs before and after, that agreement is averaged over
GOES_ON, AGREES = 0.1, 0.3  # agreement from which a vector counts at all, and fully
RESTS = 0.25  # share of a pair's motion below which the next one rests, and the one after that is asked
NEAR, PRESENT = 9, 0.1  # cells a side, and the share of a pair's energy that the pairs beside it must have there
UNASKED = 0.01  # share of the energy whose agreement is not worth the time
SHAKEN = 3.0  # how many times the camera's shaking a vector must be to count without agreement: fits of a shaken camera err by less


def steady(camera, steps, shot, lively):
    """A camera's affine path [P, 3, 2] in pairs of duration `steps` [P] in s, its velocity averaged by a Hann window of 2 STEADY pairs.

    The window is of pairs, not of seconds: a clip that is played more slowly is measured to move as much more slowly. shot [P]: the number
    of the shot that a pair belongs to; averages stay inside it. lively [P]: the pairs that change; the others have no say and no motion.
    """
    number = np.cumsum(lively)
    apart = np.abs(number[:, None] - number) / STEADY
    window = np.where(apart < 1, np.cos(np.pi / 2 * np.minimum(apart, 1))**2, 0) * (shot[:, None] == shot) * np.outer(lively, lively)
    share = window / np.maximum(1e-9, (window * steps).sum(1, keepdims=True))  # of paths, so that velocity is path over time
    return np.einsum('ij,jkl->ikl', share * steps[:, None], camera)


def persistence(camera, shot, lively):
    """How much a camera's affine paths [P, 3, 2] go on: sum 2 a.b / sum (|a|^2 + |b|^2) of pairs that follow each other, in [-1, 1]."""
    paths, shot = camera[lively].reshape(-1, 6), shot[lively]
    same = shot[1:] == shot[:-1]
    first, second = paths[:-1][same], paths[1:][same]
    total = np.square(first).sum() + np.square(second).sum()
    return 2 * (first * second).sum() / total if total else 1.0


def lasting(own, flow, shaking, shot, clear):
    """Weights [P, h, w] in [0, 1] of vectors `own` [P, h, w, 2], diagonals.

    A vector counts where the pairs beside it move around the same place too: what comes once, as a subtitle does, is no motion. Vectors
    that are not longer than SHAKEN times the camera's `shaking` [P], and those of places that are not `clear` [P, h, w] of noise, in
    [0, 1], must also agree with those pairs, see _agrees; `flow` carries the places.
    """
    if len(own) < 2:
        return np.ones(own.shape[:3], np.float32)
    size = tuple(max(1, round(side / CELL)) for side in own.shape[2:0:-1])
    energy = _square(own)
    there = _present(np.stack([cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in energy]), shot)
    weight = _enlarged(there, own.shape)
    free = clear * np.clip(np.sqrt(energy) / (SHAKEN * shaking[:, None, None] + 1e-6) - 1, 0, 1)
    if (energy * (1 - free)).sum() <= UNASKED * energy.sum():
        return weight
    return weight * np.maximum(free, _enlarged(_agrees(own, flow, shot, size), own.shape))


def _present(energy, shot):
    """Weights [P, *cells]: whether a pair beside has PRESENT of the energy around, one further off where that one rests."""
    around = np.stack([cv2.blur(one, (NEAR, NEAR)) for one in energy])
    beside = np.zeros_like(around)
    for lag in (1, 2):
        same = (shot[lag:] == shot[:-lag])[:, None, None]
        beside[lag:] = np.maximum(beside[lag:], around[:-lag] * same)
        beside[:-lag] = np.maximum(beside[:-lag], around[lag:] * same)
    return np.minimum(1, beside / (PRESENT * around + 1e-12))


def _agrees(own, flow, shot, size):
    """Weights [P, *cells] by agreement: sum 2 a.b / sum (|a|^2 + |b|^2) over the pairs and places around, b a vector of the pair before or
    after where the flow carries a: 1 for a motion that goes on, negative where it turns back."""
    own, flow = (np.ascontiguousarray(vectors[:, ::2, ::2]) for vectors in (own, flow))  # a fourth of them is enough, and of the time
    sums = np.stack([_agreement(own, flow, shot, i, size) for i in range(len(own))])
    number = np.arange(len(own))
    near = (np.abs(number[:, None] - number) <= PAIRS) & (shot[:, None] == shot)
    along, length = np.einsum('ij,jklm->mikl', near.astype(np.float32), sums)
    return np.clip((along / (length + 1e-12) - GOES_ON) / (AGREES - GOES_ON), 0, 1)


def _agreement(own, flow, shot, i, size):
    """2 a.b and |a|^2 + |b|^2 [*cells, 2] of pair i with those before and after."""
    y, x = grid(*own.shape[1:3])
    reach, sums = flow[i] * np.float32(np.hypot(*own.shape[1:3])), np.zeros_like(own[i])
    length = _square(own[i])
    for sign in (1, -1):
        near, far = (own[j] if 0 <= j < len(own) and shot[j] == shot[i] else None for j in (i + sign, i + 2 * sign))
        if near is not None:
            other = near if far is None or _square(near).sum() > RESTS**2 * length.sum() else far
            other = cv2.remap(other, x + sign * reach[..., 0], y + sign * reach[..., 1], cv2.INTER_LINEAR)
            sums += np.stack([2 * (own[i, ..., 0] * other[..., 0] + own[i, ..., 1] * other[..., 1]), length + _square(other)], -1)
    return cv2.blur(cv2.resize(sums, size, interpolation=cv2.INTER_AREA), (AROUND, AROUND))


def _enlarged(cells, shape):
    return np.stack([cv2.resize(one, shape[2:0:-1], interpolation=cv2.INTER_LINEAR) for one in cells])


def _square(vectors):
    return vectors[..., 0]**2 + vectors[..., 1]**2
