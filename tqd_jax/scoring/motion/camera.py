"""The camera's part of optical flow: one affine motion for the whole picture, fitted robustly."""
import numpy as np

STEP = 3  # every so many vectors one is asked
ROUNDS = 5  # of reweighting
RIDGE = 1e-3  # vectors' worth of evidence that the camera rests: what decides where there is no other
LOOSE = 0.004  # diagonals: a vector that is off by so much has half its say in the next round


def camera_flow(flow, weight):
    """The affine flow [P, h, w, 2] that most vectors of `flow` [P, h, w, 2] agree with, each by its weight [P, h, w] in [0, 1].

    (u, v) = (1, x, y) A, by iterated least squares with Cauchy weights 1 / (1 + (r / s)^2), s the larger of LOOSE and the weighted mean
    residual: panning, zoom, roll and shear are the camera's, whatever moves against them is not. Without any weight: zero.
    """
    count, height, width = weight.shape
    y, x = np.mgrid[-1:1:height * 1j, -1:1:width * 1j]
    basis = np.stack([np.ones_like(x), x, y], axis=-1)
    rows = basis[::STEP, ::STEP].reshape(-1, 3)
    wanted = flow[:, ::STEP, ::STEP].reshape(count, -1, 2).astype(np.float64)
    trust = weight[:, ::STEP, ::STEP].reshape(count, -1).astype(np.float64)
    share = trust
    for _ in range(ROUNDS):
        weighted = (rows * share[..., None]).swapaxes(1, 2)
        affine = np.linalg.solve(weighted @ rows + RIDGE * np.eye(3), weighted @ wanted)
        off = np.linalg.norm(wanted - rows @ affine, axis=-1)
        scale = np.maximum(LOOSE, (trust * off).sum(1) / (trust.sum(1) + RIDGE))
        share = trust / (1 + (off / scale[:, None]) ** 2)
    return (basis.reshape(-1, 3) @ affine).reshape(flow.shape).astype(flow.dtype)
