"""Tracks of the sprites in a clip: a search by normalised correlation, then least squares on the rendered outline."""
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.studies.measures import templates
from benchmarks.studies.measures.templates import COLOURS, LIT, PATCH, RADII, RADIUS, SIDE
from tqd_jax.clips import scenes

ROUNDS = 3  # of least squares
FAINT = 25.0 * PATCH**2  # squared grey levels: structure below this is none
STEP = 0.4  # how far a round may move a sprite, in pixels of the search


@dataclasses.dataclass(frozen=True, kw_only=True)
class Track:
    """Where N sprites are: positions [N, F, 2] as (x, y) in frame widths, radius [N], and how well their templates match there.

    score: [N, F] in [-1, 1], normalised correlation with the sprite's template. scores: [N, 30], the mean, over the half of the frames with
    the highest score, of the correlation of all sprites (index: shape * 6 + colour) with what is there.
    """

    positions: np.ndarray
    radius: np.ndarray
    score: np.ndarray
    scores: np.ndarray


def track(frames, shape, colour):
    """Track of one sprite in each of N clips.

    frames: [N, F, H, W, 3] in 0..255, finite, H = W a multiple of 16. shape, colour: int [N], into scenes.SHAPES and scenes.COLOURS.
    Memory is a few MB a clip of 16 x 16 x 8, so take some dozens at a time; every other N is compiled anew.
    """
    small, (cover, places) = average(frames, SIDE), templates.outlines()
    pixel, place, score = (np.asarray(x) for x in _search(small, templates.lines(colour), cover[shape]))
    start = (np.stack([pixel % SIDE, pixel // SIDE], -1) + 0.5 + places[place]).astype(np.float32) / SIDE
    positions, radius = np.empty_like(start), np.empty(len(frames), np.float32)
    for index in np.unique(shape):
        rows = shape == index
        positions[rows], radius[rows] = _refine(frames[rows], start[rows], scenes.SHAPES[index], COLOURS[colour[rows]])
    return Track(positions=positions, radius=radius, score=score, scores=_correlations(small, pixel, score))


def average(frames, side):
    """Frames [..., H, W, 3] averaged over squares to [..., side, side, 3], float32; H = W is a multiple of side."""
    factor = frames.shape[-2] // side
    return frames.reshape(*frames.shape[:-3], side, factor, side, factor, 3).mean((-4, -2), dtype=np.float32)


@jax.jit
def _search(frames, line, cover):
    """frames [N, F, 16, 16, 3], line [N, 3] (of colours), cover [N, place, 81] -> (best pixel [N, F], place [N, F], score [N, F]).

    The normalised correlation with a template that is one line of colours times a centred coverage: one channel is enough.
    """
    energy = _sum_around(jnp.sum(frames**2, -1)) - jnp.sum(_sum_around(jnp.moveaxis(frames, -1, 0)) ** 2, 0) / templates.disc().sum()
    projected = jnp.einsum('nfyxc,nc->nfyx', frames, line)
    patches = jnp.stack(_shift(projected), -1).reshape(*frames.shape[:2], SIDE * SIDE, PATCH * PATCH)
    scores = jnp.einsum('nfpd,ntd->nfpt', patches, cover) / jnp.sqrt(jnp.maximum(energy, 0) + FAINT).reshape(*frames.shape[:2], -1, 1)
    best = scores.reshape(*scores.shape[:2], -1).argmax(-1)
    return best // cover.shape[1], best % cover.shape[1], scores.max((-2, -1))


def _shift(images):
    """The images [..., 16, 16] shifted to each pixel of a patch, edges repeated: a list of 81."""
    half = PATCH // 2
    padded = jnp.pad(images, ((0, 0),) * (images.ndim - 2) + ((half, half),) * 2, mode='edge')
    return [padded[..., i:i + SIDE, j:j + SIDE] for i in range(PATCH) for j in range(PATCH)]


def _sum_around(images):
    """Sums of images [..., 16, 16] over the disc around each pixel."""
    return sum(shifted for shifted, inside in zip(_shift(images), templates.disc().ravel(), strict=True) if inside)


def best_half(score):
    """Weights [N, F], of sum 1, of the half of the frames with the highest score [N, F]: in others the object may be hidden by another."""
    half = score.shape[1] - score.shape[1] // 2
    return (np.argsort(np.argsort(-score, axis=1), axis=1) < half) / half


def _correlations(small, pixel, score):
    """Mean over the best half of the frames of the best correlation of all 30 sprites with the patch around `pixel` [N, F]: [N, 30]."""
    half, disc = PATCH // 2, templates.disc()[..., None]
    padded = np.pad(small, ((0, 0), (0, 0), (half, half), (half, half), (0, 0)), mode='edge')
    views = np.lib.stride_tricks.sliding_window_view(padded, (PATCH, PATCH), axis=(2, 3))  # [N, F, 16, 16, 3, P, P]
    patches = np.moveaxis(views[(*np.indices(pixel.shape), pixel // SIDE, pixel % SIDE)], -3, -1)
    patches = (patches - (patches * disc).sum((-3, -2), keepdims=True) / disc.sum()) * disc
    flat = patches.reshape(*pixel.shape, -1)
    flat = flat / np.sqrt((flat**2).sum(-1, keepdims=True) + FAINT)
    sprites = templates.library()
    correlation = (flat @ sprites.reshape(-1, sprites.shape[-1]).T).reshape(*pixel.shape, 30, -1).max(-1)
    return (correlation * best_half(score)[..., None]).sum(1)


def _refine(frames, start, shape, colours):
    """Positions [N, F, 2] and radius [N] that a few rounds of Gauss-Newton find from `start`, for sprites of one shape."""
    positions, radius = start, np.full(len(frames), RADIUS, np.float32)
    patches, x, y = templates.windows(frames, start)
    for _ in range(ROUNDS):
        steps = _step(patches, x, y, positions, radius, shape, colours, frames.shape[-2])
        positions = positions + np.clip(steps[..., :2], -STEP / SIDE, STEP / SIDE)
        positions = np.clip(positions, start - 1.5 / SIDE, start + 1.5 / SIDE)
        radius = np.clip(radius + np.clip(np.median(steps[..., 2], axis=1), -STEP / SIDE, STEP / SIDE), *RADII)
    return positions, radius


def _step(patches, x, y, positions, radius, shape, colours, size):
    """Least squares of each frame's matte on coverage and its derivatives by (x, y, radius): the steps [N, F, 3].

    The matte of a pixel is its projection on the line from the background to the sprite's colour: 1 is sprite, 0 is not.
    """
    r = radius[:, None, None, None]
    relative = [x - positions[..., :1], y - positions[..., 1:]]
    cover = templates.supersample(lambda dx, dy: templates.coverage(shape, r, dx, dy, max(size, templates.FINEST)), *relative, size)
    outside = (cover < 0.01)[..., None]
    ground = (patches * outside).sum((-3, -2)) / np.maximum(outside.sum((-3, -2)), 1)  # [N, F, 3]
    line = LIT * colours[:, None] - ground
    line = line / ((line**2).sum(-1, keepdims=True) + 100)
    matte = ((patches - ground[..., None, None, :]) * line[..., None, None, :]).sum(-1)
    down, right = (np.gradient(cover, axis=axis) * size for axis in (-2, -1))
    dx, dy = relative[0][..., None, :], relative[1][..., None]
    columns = np.stack([-right, -down, -(dx * right + dy * down) / r, cover, np.ones_like(cover)], -1)
    near = templates.beside(*relative, x, y, r + 2 / size)[..., None]
    design = (columns * near).reshape(*columns.shape[:2], -1, 5)
    target = (matte[..., None] * near).reshape(*columns.shape[:2], -1, 1)
    normal = design.swapaxes(-1, -2) @ design + 1e-3 * np.eye(5, dtype=np.float32)
    fit = np.linalg.solve(normal, design.swapaxes(-1, -2) @ target)[..., 0]
    return fit[..., :3] / np.maximum(fit[..., 3:4], 0.3)  # a faint sprite's edge moves as far as a bright one's
