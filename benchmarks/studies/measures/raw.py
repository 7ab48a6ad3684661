"""Measures of captioned sprites that need no reference: speed, straightness, sharpness, texture, identity."""
import numpy as np

from benchmarks.studies.measures.paths import fit_paths
from benchmarks.studies.measures.templates import RADIUS
from benchmarks.studies.measures.track import track
from benchmarks.studies.measures.visual import visual_quality
from tqd_jax.clips import scenes

OVER_SPRITES = {'speed': np.mean, 'straight': np.min, 'sharp': np.max, 'texture': np.max, 'identity': np.min}  # of a clip with two
CHUNK = 32  # sprites at a time
MIN_CORRELATION = 0.45  # from which a sprite is there: noise has about 0.3


def sprites_of(captions):
    """(shape, colour) int32 [B, 2] of captions, as in world.Clips: -1 where there is no second sprite. Raises ValueError."""
    shape, colour = np.full((2, len(captions), 2), -1, np.int32)
    for row, caption in enumerate(captions):
        named = [words.split() for words in str(caption).split(' and ')]
        if len(named) > 2 or any(len(one) != 3 or one[1] not in scenes.COLOURS or one[2] not in scenes.SHAPES for one in named):
            raise ValueError(f"a caption is like 'a red disc' or 'a red disc and a blue ring', not {str(caption)!r}")
        for place, (_, colour_, shape_) in enumerate(named):
            shape[row, place], colour[row, place] = scenes.SHAPES.index(shape_), list(scenes.COLOURS).index(colour_)
    return shape, colour


def raw_measures(frames, shape, colour, fps):
    """The measures that need no reference, [B] each."""
    row, place = np.nonzero(shape >= 0)
    padded = np.arange(-(-len(row) // CHUNK) * CHUNK) % len(row)  # all chunks have one size, so one program serves them
    parts = [(row[part], shape[row[part], place[part]], colour[row[part], place[part]]) for part in padded.reshape(-1, CHUNK)]
    chunks = [_of_sprites(frames[rows], *sprites, fps) for rows, *sprites in parts]
    each = {name: np.concatenate([chunk[name] for chunk in chunks])[:len(row)] for name in OVER_SPRITES}
    return {name: _over_sprites(each[name], row, place, len(frames), how) for name, how in OVER_SPRITES.items()}


def _of_sprites(frames, shape, colour, fps):
    """The measures of one sprite in each clip."""
    tracks = track(frames, shape, colour)
    weight = np.clip(tracks.score, 0.01, 1).astype(np.float32) ** 4  # where another object hides this one, it counts little
    velocity, paths = (np.asarray(x, np.float64) for x in fit_paths(tracks.positions, weight, tracks.radius, fps))
    away = (np.linalg.norm(paths - tracks.positions, axis=-1) * weight).sum(-1) / weight.sum(-1)
    texture, sharp = visual_quality(frames, tracks, shape, colour)
    return {'speed': np.hypot(*velocity.T) / np.sqrt(2), 'straight': np.maximum(1 - away / RADIUS, 0), 'sharp': sharp, 'texture': texture,
            'identity': _identity(tracks.scores, shape * len(scenes.COLOURS) + colour)}


def _identity(scores, sprite):
    """1.0 where scores [N, 30] are highest at `sprite` [N] and high enough that something is there at all."""
    return ((scores.argmax(-1) == sprite) & (scores.max(-1) >= MIN_CORRELATION)).astype(np.float64)


def _over_sprites(values, row, place, count, how):
    """[count]: `how` over the sprites of each clip of values, one for each of the rows and places."""
    table = np.ma.masked_all((count, 2))
    table[row, place] = values
    return np.asarray(how(table, axis=1), np.float64)
