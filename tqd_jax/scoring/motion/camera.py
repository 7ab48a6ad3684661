"""The camera's part of optical flow: one affine motion for the whole picture, fitted robustly."""
import numpy as np

STEP = 3  # every so many vectors one is asked
ROUNDS = 5  # of reweighting
RIDGE = 1e-3  # vectors' worth of evidence that the camera rests: what decides where there is no other
LOOSE = 0.004  # diagonals: a vector that is off by so much has half its say in the next round

WITHIN, NEARLY = 0.002, 0.25  # diagonals, and share of the camera's motion, by which what goes with it may differ


def camera_flow(flow, weight):
    """The affine flow [P, h, w, 2] of camera_affine."""
    return affine_flow(camera_affine(flow, weight), flow.shape)


def camera_affine(flow, weight):
    """A [P, 3, 2] of the affine flow that most vectors of `flow` [P, h, w, 2] agree with, each by its weight [P, h, w] in [0, 1].

    (u, v) = (1, x, y) A, by iterated least squares with Cauchy weights 1 / (1 + (r / s)^2), s the larger of LOOSE and the weighted mean
    residual: panning, zoom, roll and shear are the camera's, whatever moves against them is not. Without any weight: zero.
    """
    count, height, width = weight.shape
    rows = _basis(height, width)[::STEP, ::STEP].reshape(-1, 3)
    wanted = flow[:, ::STEP, ::STEP].reshape(count, -1, 2).astype(np.float64)
    trust = weight[:, ::STEP, ::STEP].reshape(count, -1).astype(np.float64)
    share = trust
    for _ in range(ROUNDS):
        weighted = (rows * share[..., None]).swapaxes(1, 2)
        affine = np.linalg.solve(weighted @ rows + RIDGE * np.eye(3), weighted @ wanted)
        off = lengths(wanted - rows @ affine)
        scale = np.maximum(LOOSE, (trust * off).sum(1) / (trust.sum(1) + RIDGE))
        share = trust / (1 + (off / scale[:, None]) ** 2)
    return affine


def affine_flow(affine, shape):
    """The flow float32 `shape` = [P, h, w, 2] of A [P, 3, 2]."""
    return (_basis(*shape[1:3]).reshape(-1, 3).astype(np.float32) @ affine.astype(np.float32)).reshape(shape)


def lengths(vectors):
    """|v| of v [..., 2]: faster than a norm over so short an axis."""
    return np.sqrt(vectors[..., 0]**2 + vectors[..., 1]**2)


def _basis(height, width):
    y, x = np.mgrid[-1:1:height * 1j, -1:1:width * 1j]
    return np.stack([np.ones_like(x), x, y], axis=-1)


def camera_support(flow, camera, certainty):
    """Share of the picture [P] that is seen to go with the camera: little where one thing moves before a blank wall.

    certainty [P, h, w] of vectors, each by 1 / (1 + (r / s)^2), s the larger of NEARLY of the camera's mean motion and WITHIN.
    """
    scale = np.maximum(WITHIN, NEARLY * lengths(camera).mean((1, 2)))
    off = lengths(flow - camera) / scale[:, None, None]
    return (certainty / (1 + off * off)).mean((1, 2))
