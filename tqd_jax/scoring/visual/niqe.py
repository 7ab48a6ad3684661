"""NIQE: the distance of a frame's local statistics from those of pristine pictures, by any NIQE model."""
import dataclasses

import cv2
import numpy as np
import scipy.special as sp

from transfer_jax.runtime.counts import counted, plural

SIDE = 360  # larger frames are shrunk to this short side
PATCH = 48  # pixels a side, at the finer of two scales
SHARP = 0.3  # of the sharpest patch of its picture: what a pristine one must reach; the paper's 0.75 keeps few where contrasts vary
SEEN = 3.0  # grey levels of local deviation at which a patch counts half: bars and blank walls have no statistics
ENOUGH = 4.0  # patches that must count
WINDOW, SIGMA = (7, 7), 7 / 6  # of the local mean and deviation, as in the paper
SHAPES = np.geomspace(0.2, 10, 2000)  # of the generalised Gaussians that are told apart, as in the paper
TINY = 1e-12
RATIOS = np.exp(2 * sp.gammaln(2 / SHAPES) - sp.gammaln(1 / SHAPES) - sp.gammaln(3 / SHAPES))  # E|x|^2 / E x^2 of each; rises


@dataclasses.dataclass(frozen=True, kw_only=True)
class NiqeModel:
    """The Gaussian of the features of sharp pristine patches: mean [36], covariance [36, 36], and the patches' side in pixels."""

    mean: np.ndarray
    covariance: np.ndarray
    patch: int = PATCH

    def __post_init__(self):
        if self.mean.shape != (36,) or self.covariance.shape != (36, 36):
            raise ValueError(f'a model is a mean [36] and a covariance [36, 36], not {self.mean.shape} and {self.covariance.shape}')
        if self.patch < 8 or self.patch % 2:
            raise ValueError(f'patch must be even and at least 8, got {self.patch}')


def niqe(lumas, model):
    """NIQE (Mittal, Soundararajan & Bovik 2013) of lumas [F, H, W] in 0..255: the mean over frames; higher is worse.

        sqrt((m1 - m2)' ((S1 + S2) / 2)^-1 (m1 - m2))

    with the model's mean and covariance m1, S1 and those of the frame's patches m2, S2: about 2 for a pristine picture. A patch counts by
    s^2 / (s^2 + 9) with its sharpness s in grey levels, so bars and blank walls have no say. None where fewer than 4 patches count: a
    small or an empty frame.
    """
    scores = [score for luma in lumas if (score := _score(luma, model)) is not None]
    return float(np.mean(scores)) if scores else None


def fit(lumas, patch=PATCH):
    """The NiqeModel of pristine lumas, float32 [H, W] each: their patches at least 0.3 times as sharp as the sharpest of each.

    Patches come with their mirror images, which are as pristine, so a model knows no left and right. Raises ValueError where there are
    fewer patches than a covariance of 36 features needs.
    """
    sharp = [rows[sharpness >= SHARP * sharpness.max()] for rows, sharpness in (features(luma, patch) for luma in lumas) if len(rows)]
    rows = np.concatenate([np.empty((0, 36)), *sharp])
    if len(rows) <= 72:
        raise ValueError(f'{counted(len(rows), "sharp patch", "sharp patches")} of {patch} pixels {plural(len(rows), "is", "are")} '
                         'too few for a '
                         'model; more than 72 are needed')
    both = np.concatenate([rows, rows[:, _MIRRORED]])
    return NiqeModel(mean=both.mean(axis=0), covariance=np.cov(both, rowvar=False), patch=patch)


def gaussian_distance(mean, covariance, other_mean, other_covariance):
    """sqrt(d' ((S1 + S2) / 2)^-1 d) of two Gaussians: 0 where their means agree; directions in which neither varies are left out."""
    difference = mean - other_mean
    return float(np.sqrt(max(0.0, difference @ np.linalg.pinv((covariance + other_covariance) / 2, hermitian=True) @ difference)))


def features(luma, patch=PATCH):
    """What NIQE knows of each patch of luma [H, W]: float64 [patches, 36], and its sharpness, the mean local deviation, [patches].

    At each of two scales: shape and mean width of the local normalised luma; shape, mean and the widths on both sides of its products
    with the neighbour to the right, below, below right and below left (asymmetric generalised Gaussians). Patches tile the middle.
    """
    luma = _tile(_shrink(luma), patch)
    if not luma.size:
        return np.empty((0, 36)), np.empty(0)
    half = cv2.resize(luma, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    normalised, deviation = mscn(luma)
    fine, coarse = _statistics(normalised, patch), _statistics(mscn(half)[0], patch // 2)
    return np.concatenate([fine, coarse], axis=1), _patch_means(deviation, patch)


def mscn(luma):
    """Mean subtracted, contrast normalised luma, (I - mu) / (sigma + 1), and sigma: local mean and deviation under a Gaussian window."""
    mean = cv2.GaussianBlur(luma, WINDOW, SIGMA)
    variance = cv2.GaussianBlur(luma * luma, WINDOW, SIGMA) - mean * mean
    deviation = np.sqrt(np.maximum(variance, 0))
    return (luma - mean) / (deviation + 1), deviation


def asymmetric_gaussian(magnitude, square, left, right):
    """Shape and left and right widths of asymmetric generalised Gaussians, by moments (Lasmar, Stitou & Berthoumieu 2009).

    The density falls as exp(-(|x| / width)^shape). magnitude, square: E |x| and E x^2; left, right: E x^2 of the negative and of the
    positive x alone; arrays of one shape. Shapes lie in [0.2, 10]; where nothing varies the widths are 0.
    """
    low, high = np.sqrt(left), np.sqrt(right)
    ratio = magnitude**2 / np.maximum(square, TINY) * (low**3 + high**3) * (low + high) / np.maximum(left + right, TINY) ** 2
    shape = np.interp(ratio, RATIOS, SHAPES)
    width = np.exp((sp.gammaln(1 / shape) - sp.gammaln(3 / shape)) / 2)
    return shape, low * width, high * width


def _score(luma, model):
    rows, sharpness = features(luma, model.patch)
    weight = sharpness**2 / (sharpness**2 + SEEN**2)
    if weight.sum() < ENOUGH:
        return None
    mean, covariance = np.average(rows, axis=0, weights=weight), np.cov(rows, rowvar=False, aweights=weight)
    return gaussian_distance(model.mean, model.covariance, mean, covariance)


def _statistics(normalised, patch):
    """The 18 features of one scale, [patches, 18]."""
    around = cv2.copyMakeBorder(normalised, 0, 1, 1, 1, cv2.BORDER_REFLECT_101)
    right, below, diagonal, other = around[:-1, 2:], around[1:, 1:-1], around[1:, 2:], around[1:, :-2]
    shape, left_width, right_width = asymmetric_gaussian(*_moments(normalised, patch))
    columns = [shape, (left_width + right_width) / 2]
    for neighbour in (right, below, diagonal, other):
        shape, low, high = asymmetric_gaussian(*_moments(normalised * neighbour, patch))
        mean = (high - low) * np.exp(sp.gammaln(2 / shape) - sp.gammaln(1 / shape))
        columns += [shape, mean, low, high]
    return np.stack(columns, axis=1)


def _moments(field, patch):
    """E |x|, E x^2, and E x^2 of the negative and of the positive x alone, in each patch."""
    magnitude = np.abs(field)
    both, signed = _patch_means(field * field, patch), _patch_means(field * magnitude, patch)
    share = np.clip(_patch_means((field > 0).astype(np.float32), patch), 1 / patch**2, 1 - 1 / patch**2)
    return _patch_means(magnitude, patch), both, (both - signed) / 2 / (1 - share), (both + signed) / 2 / share


def _patch_means(field, patch):
    rows = field.reshape(-1, patch, field.shape[1]).sum(axis=1).astype(np.float64)
    return (rows.reshape(len(rows), -1, patch).sum(axis=2) / patch**2).ravel()


def _shrink(luma):
    scale = SIDE / min(luma.shape)
    size = (round(luma.shape[1] * scale), round(luma.shape[0] * scale))
    return cv2.resize(luma, size, interpolation=cv2.INTER_AREA) if scale < 1 else luma


def _tile(luma, patch):
    """The middle of luma that whole patches tile."""
    height, width = (side // patch * patch for side in luma.shape)
    top, left = (luma.shape[0] - height) // 2, (luma.shape[1] - width) // 2
    return np.ascontiguousarray(luma[top:top + height, left:left + width])


_ORDER = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14, 15, 16, 17, 10, 11, 12, 13]  # of one scale's features in a mirror: the diagonals change places
_MIRRORED = np.array(_ORDER + [18 + place for place in _ORDER])
