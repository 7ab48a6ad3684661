"""Visual quality of a tracked object: its surroundings against the picture that the world would have rendered there."""
import numpy as np

from benchmarks.studies.measures import templates
from benchmarks.studies.measures.templates import COLOURS, LIT
from benchmarks.studies.measures.track import best_half
from tqd_jax.clips import scenes

STRIPED = 32  # size from which stripes are wide enough to be seen
ANGLES, FRAMES = 64, 8  # candidate angles of stripes, and the frames that choose among them


def visual_quality(frames, tracks, shape, colour):
    """(texture [N], sharp [N]) of one tracked sprite in each of N clips, means over the half of the frames where the track scores best.

    texture: the normalised correlation in [-1, 1] of the sprite and its rim (within radius + 2 pixels; channels centred one by one) with
    the sprite rendered at its place over the mean colour of its surroundings.
    sharp: <g, h> / max(|g|^2, |h|^2) in [0, 1] of the gradients g that are there and h of the rendered picture: 1 where they are the same;
    blur makes g too short, noise too long.

    frames: [N, F, H, W, 3] in 0..255, finite. tracks: the Track. shape, colour: int [N].
    """
    texture, sharp = np.empty(len(frames)), np.empty(len(frames))
    for index in np.unique(shape):
        rows = shape == index
        each = _of_shape(frames[rows], tracks.positions[rows], tracks.radius[rows], scenes.SHAPES[index], COLOURS[colour[rows]])
        texture[rows], sharp[rows] = ((one * best_half(tracks.score[rows])).sum(-1) for one in each)
    return texture, sharp


def _of_shape(frames, positions, radius, shape, colours):
    size = frames.shape[-2]
    patches, x, y = templates.windows(frames, positions)
    relative, r = (x - positions[..., :1], y - positions[..., 1:]), radius[:, None, None, None]
    cover = templates.supersample(lambda dx, dy: templates.coverage(shape, r, dx, dy, max(size, templates.FINEST)), *relative, size)
    outside = (cover < 0.01)[..., None]
    ground = (patches * outside).sum((-3, -2), keepdims=True) / np.maximum(outside.sum((-3, -2), keepdims=True), 1)
    skin = colours[:, None, None, None] * _brightness(patches, ground, cover, relative, colours, size)[..., None]
    picture = ground + cover[..., None] * (skin - ground)
    near = templates.beside(*relative, x, y, r + 2 / size)[..., None]
    return _correlation(patches, picture, near), _agreement(patches, picture, near)


def _correlation(patches, picture, near):
    first, second = ((z - (z * near).sum((-3, -2), keepdims=True) / near.sum((-3, -2), keepdims=True)) * near for z in (patches, picture))
    dot = lambda a, b: (a * b).sum((-3, -2, -1))
    return dot(first, second) / np.sqrt(dot(first, first) * dot(second, second) + 1.0)


def _agreement(patches, picture, near):
    products = np.zeros((3, *patches.shape[:2]))
    for axis in (-3, -2):
        g, h = (np.gradient(z, axis=axis) * near for z in (patches, picture))
        products += [(g * h).sum((-3, -2, -1)), (g * g).sum((-3, -2, -1)), (h * h).sum((-3, -2, -1))]
    return np.maximum(products[0], 0) / np.maximum(np.maximum(products[1], products[2]), 1e-6)


def _brightness(patches, ground, cover, relative, colours, size):
    """[N, F, P, P] or what broadcasts to it: LIT in the mean, with the stripes of the best angle where frames are large enough for them."""
    if size < STRIPED:
        return np.full((1, 1, 1, 1), LIT, np.float32)
    line = LIT * colours[:, None, None, None] - ground
    inside = cover > 0.99
    matte = ((patches - ground) * line).sum(-1) / ((line**2).sum(-1) + 100) * inside
    rest = (matte - matte.sum((-2, -1), keepdims=True) / np.maximum(inside.sum((-2, -1), keepdims=True), 1)) * inside
    few = np.linspace(0, cover.shape[1] - 1, min(FRAMES, cover.shape[1])).astype(int)
    some = tuple(z[:, few] for z in relative)
    angles = np.arange(ANGLES) * (np.pi / ANGLES)
    fits = np.stack([(rest[:, few] * _stripes(some, np.full(len(cover), angle), size)).sum((1, 2, 3)) for angle in angles])
    return LIT + (1 - LIT) * _stripes(relative, angles[fits.argmax(0)], size)


def _stripes(relative, angle, size):
    """[N, F, P, P]: the wave of scenes' stripes at angle [N]."""
    cos, sin = (np.float32(f(angle))[:, None, None, None] * np.float32(2 * np.pi / scenes.STRIPES) for f in (np.cos, np.sin))
    return templates.supersample(lambda dx, dy: np.sin(dx * cos + dy * sin), *relative, size)
