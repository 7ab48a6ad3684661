"""Templates of the sprites at any place: coverage as the world renders it, windows of frames, outlines to match."""
import functools

import numpy as np

from benchmarks.studies.world.render import FINEST
from tqd_jax.clips import scenes

COLOURS = np.array(list(scenes.COLOURS.values()), np.float32)  # [6, 3]
RADIUS, RADII = 0.195, (0.16, 0.23)  # a sprite's usual radius, and the range that a fit may take; in frame widths
SIDE = 16  # frames are searched at this size
PATCH = 9  # of the search, in its pixels
LIT = 0.85  # mean brightness of a striped sprite, of its colour
DARK = 65.0  # usual grey level of the background


def coverage(shape, radius, dx, dy, size):
    """The share of each pixel of a frame of `size` that a sprite covers, as scenes.render has it; dx, dy from its centre, frame widths."""
    return np.clip(0.5 - size * radius * scenes.outline(shape, dx / radius, dy / radius), 0, 1)


def windows(frames, positions):
    """(patches [..., P, P, 3], x [..., P], y [..., P]): the surroundings of positions [..., 2] in frames [..., H, W, 3], float32.

    x, y: the centres of their columns and rows in frame widths. Beyond the border the outermost pixels repeat.
    """
    size = frames.shape[-2]
    half = int(np.ceil(RADII[1] * size)) + 2
    corner = np.floor(positions * size).astype(int)
    place = corner[..., None, :] + np.arange(-half, half + 1)[:, None]  # [..., P, 2]
    column, row = (np.clip(place[..., k], 0, size - 1) for k in (0, 1))
    lead = np.indices(frames.shape[:-3], sparse=True)
    patches = frames[(*(i[..., None, None] for i in lead), row[..., :, None], column[..., None, :])]
    x, y = ((place[..., k] + 0.5) / size for k in (0, 1))
    return patches.astype(np.float32), x.astype(np.float32), y.astype(np.float32)


def beside(dx, dy, x, y, reach):
    """bool [..., P, P]: which pixels, at dx [..., P], dy from a sprite's centre, are within reach and, at x, y, within the frame."""
    inside = ((x > 0) & (x < 1))[..., None, :] & ((y > 0) & (y < 1))[..., None]
    return inside & (np.hypot(dx[..., None, :], dy[..., None]) < reach)


def supersample(function, x, y, size):
    """function(fine x [..., P, P], fine y) at every pixel of x [..., P], y [..., P], averaged as the world averages small frames."""
    factor = max(1, FINEST // size)
    finer = ((np.arange(factor, dtype=np.float32) + 0.5) / factor - 0.5) / size
    fine = [(z[..., None] + finer).reshape(*z.shape[:-1], -1) for z in (x, y)]
    values = function(fine[0][..., None, :], fine[1][..., :, None])
    cells = (*values.shape[:-2], y.shape[-1], factor, x.shape[-1], factor)
    return values.reshape(cells).mean((-3, -1))


@functools.cache
def outlines(radii=(RADIUS,), steps=2):
    """(covers float32 [shape, place, 81], places [place, 2]): every shape as the search sees it, at all radii and places within a pixel.

    places: the centre's distance from the middle of the patch, in pixels; `steps` a side. Covers are centred, within a disc, and of norm 1.
    """
    grid = (np.arange(PATCH, dtype=np.float32) - PATCH // 2) / SIDE
    along = (np.arange(steps) + 0.5) / steps - 0.5
    places = np.stack(np.meshgrid(along, along), -1).reshape(-1, 2).astype(np.float32)
    cover = np.stack([[supersample(lambda x, y, s=s, r=r, p=p: coverage(s, r, x - p[0] / SIDE, y - p[1] / SIDE, FINEST), grid, grid, SIDE)
                       for r in radii for p in places] for s in scenes.SHAPES])
    flat = ((cover - (cover * disc()).sum((-2, -1), keepdims=True) / disc().sum()) * disc()).reshape(*cover.shape[:2], -1)
    return (flat / np.linalg.norm(flat, axis=-1, keepdims=True)).astype(np.float32), places


@functools.cache
def library():
    """float32 [30, radius and place, 243]: all sprites (shape * 6 + colour), in the colours of a sprite over the usual background."""
    covers, _ = outlines((0.175, RADIUS, 0.215), 4)
    return (covers[:, None, ..., None] * lines(np.arange(len(COLOURS)))[:, None, None]).reshape(30, covers.shape[1], -1)


def lines(colour):
    """[..., 3]: the directions from the usual background to colours, of norm 1."""
    away = LIT * COLOURS[colour] - DARK
    return away / np.linalg.norm(away, axis=-1, keepdims=True)


@functools.cache
def disc():
    """[PATCH, PATCH]: which pixels of a patch are compared."""
    grid = np.arange(PATCH) - PATCH // 2
    return (np.hypot(*np.meshgrid(grid, grid)) <= PATCH / 2).astype(np.float32)
