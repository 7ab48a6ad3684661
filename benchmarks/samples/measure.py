"""What a viewer asks of a sample with one object: is it whole, of the caption's colour and shape, and does it move straight on?"""
import numpy as np
from scipy import stats

from benchmarks.samples.objects import find_objects
from benchmarks.studies.measures.paths import fit_paths
from benchmarks.studies.measures.raw import CHUNK, MIN_CORRELATION, sprites_of
from benchmarks.studies.measures.templates import RADIUS
from benchmarks.studies.measures.track import track
from tqd_jax.clips import scenes

WHOLE = 7 / 8  # of the frames, in which a whole shape is whole
MOVES = 0.2  # diagonals a second: scenes of the library have at most 0.05 or at least 0.35


def measure(frames, captions, fps, classifier, second):
    """A dict of float64 [N] of clips uint8 [N, F, H, W, 3], H = W a multiple of 16, and captions of one object: 'a red disc'.

    colour: 1 where, of the thirty sprites, the one that correlates best with what the studies' tracker found, and by 0.45, has the
      caption's colour; else 0. whole: colour, and in 7 of 8 frames one thing is lit, as large as a sprite and of that colour.
    shape: 1 where the classifier names the caption's shape; predicted: the shape that it names, -1 where nothing is lit. right: whole and
      shape. steady: share of the frames that it takes, alone, for the caption's shape. agree: 1 where the second classifier names the
      same. captioned: the caption's shape.
    speed: diagonals a second, of the bouncing path nearest to the track. moves: 1 from MOVES on. straight: in [0, 1], 1 - mean distance
      from that path in usual radii of a sprite. r2: in [0, 1], the share of the track's variance that the path explains; NaN where
      it does not move.
    """
    shape, colour = (sprites[:, 0] for sprites in sprites_of(captions))
    parts = [_tracks(frames[rows], shape[rows], colour[rows], fps) for rows in _chunks(len(frames))]
    tracks = {name: np.concatenate([part[name] for part in parts])[:len(frames)] for name in parts[0]}
    objects = find_objects(frames, colour, tracks.pop('positions'))
    predicted = classifier.of_clips(objects.crops)
    whole = tracks['colour'] * (objects.whole.mean(1) >= WHOLE)
    each = classifier.of_frames(objects.crops)
    steady = ((each.argmax(-1) == shape[:, None]) & (each.max(-1) > 0)).mean(1)
    found = {'whole': whole, 'shape': predicted == shape, 'predicted': predicted, 'right': whole * (predicted == shape), 'steady': steady,
             'agree': predicted == second.of_clips(objects.crops)}
    return {name: np.asarray(values, np.float64) for name, values in (tracks | found).items()}


def straightness(positions, weight, radius, fps):
    """{'speed', 'moves', 'straight', 'r2'} of tracks [N, F, 2] in frame widths, as `measure` has them; weight [N, F], radius [N]."""
    velocity, paths = (np.asarray(x, np.float64) for x in fit_paths(positions, weight, radius, fps))
    share = weight / weight.sum(-1, keepdims=True)
    away = np.linalg.norm(paths - positions, axis=-1)
    middle = (positions * share[..., None]).sum(1, keepdims=True)
    spread = (np.square(positions - middle).sum(-1) * share).sum(-1)
    speed = np.hypot(*velocity.T) / np.sqrt(2)
    r2 = np.maximum(1 - (away**2 * share).sum(-1) / np.maximum(spread, 1e-12), 0)
    return {'speed': speed, 'moves': speed >= MOVES, 'straight': np.maximum(1 - (away * share).sum(-1) / RADIUS, 0),
            'r2': np.where(speed >= MOVES, r2, np.nan)}


def summarise(measures, data):
    """{name: mean over the clips} of `measure`'s dict, and `distance`: Wasserstein-1 of its speeds from those of another, `data`.

    chance: what the named shapes would score against captions dealt out anew, the mean over all pairs of a name and a caption.
    """
    shapes = np.arange(len(scenes.SHAPES))
    named, asked = ((measures[name][:, None] == shapes).mean(0) for name in ('predicted', 'captioned'))
    means = {name: float(np.nanmean(values)) for name, values in measures.items() if name not in ('predicted', 'captioned', 'r2')}
    means['r2'] = float(np.nanmean(measures['r2'])) if measures['moves'].any() else 0.0
    return means | {'chance': float(named @ asked), 'distance': float(stats.wasserstein_distance(measures['speed'], data['speed']))}


def _tracks(frames, shape, colour, fps):
    tracks = track(frames, shape, colour)
    weight = np.clip(tracks.score, 0.01, 1).astype(np.float32) ** 4  # as the studies weigh the frames of a path
    best = tracks.scores.argmax(-1) % len(scenes.COLOURS)
    seen = (best == colour) & (tracks.scores.max(-1) >= MIN_CORRELATION)
    return {'positions': tracks.positions, 'colour': seen, 'captioned': shape} | straightness(tracks.positions, weight, tracks.radius, fps)


def _chunks(count):
    """Rows of `count` clips in parts of one size, filled up: one program serves all."""
    return (np.arange(-(-count // CHUNK) * CHUNK) % count).reshape(-1, CHUNK)
