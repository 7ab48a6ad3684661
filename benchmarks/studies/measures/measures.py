"""What samples are worth, measured against the truth: whether they move rightly, whether they look right, and how far they are as a set."""
import dataclasses

import numpy as np
from scipy import stats

from benchmarks.studies.measures.features import features, frechet, gaussian
from benchmarks.studies.measures.look import look
from benchmarks.studies.measures.paths import fit_paths
from benchmarks.studies.measures.templates import RADIUS
from benchmarks.studies.measures.track import track
from benchmarks.studies.world import world as world_
from tqd_jax.clips import scenes

LEAST = {'straight': 0.85, 'sharp': 0.75, 'texture': 0.85}  # what is good enough, even where true golden clips are better still
JOINED = {'speed': np.mean, 'straight': np.min, 'sharp': np.max, 'texture': np.max, 'identity': np.min}  # over a clip's sprites
CHUNK = 32  # sprites at a time
PASS = 0.95  # share of true golden clips that move rightly, and that look right
FOUND = 0.45  # the correlation from which a sprite is there: noise has about 0.3
SEED = 1_000_003  # added to a world's seed: the reference shares no clip with it


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reference:
    """What true golden clips of another seed measure.

    fps: of the clips. slowest, fastest: frame diagonals a second. straight, sharp, texture: the least. Each is a threshold [2], for clips
    of one sprite and of two, that hide each other: quantiles such that 95 % of true golden clips move rightly and 95 % look right, but
    not above LEAST (a track within half a pixel of 16, for one): a rendered clip is exact to a degree that no sample need be.
    speeds: [n], of all of them. mean, covariance: of their features.
    """

    fps: int
    slowest: np.ndarray
    fastest: np.ndarray
    straight: np.ndarray
    sharp: np.ndarray
    texture: np.ndarray
    speeds: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray


def make_reference(world, count=512):
    """The Reference of `count` golden clips of the World with another seed."""
    clips = world_.golden_clips(dataclasses.replace(world, seed=world.seed + SEED), count)
    raw, second = _raw(clips.frames, clips.shape, clips.colour, world.fps), clips.shape[:, 1] >= 0
    groups = [rows if rows.any() else ~rows for rows in (~second, second)]  # a world may know one number of sprites only
    bars = [_thresholds({name: values[rows] for name, values in raw.items()}) for rows in groups]
    mean, covariance = gaussian(features(clips.frames))
    return Reference(fps=world.fps, speeds=raw['speed'], mean=mean, covariance=covariance,
                     **{name: np.array([bar[name] for bar in bars]) for name in bars[0]})


def measure(frames, captions, reference):
    """What each of B samples is worth: a dict of finite float64 [B].

    frames: [B, F, H, W, 3] in 0..255, uint8 or float (not finite counts as black). captions: B strings 'a red disc' or 'a red disc and
    a blue ring': the objects that must be there. Raises ValueError for other captions.

    Of the captioned objects, found by benchmarks.studies.measures.track:
      speed: frame diagonals a second, of the bouncing path nearest to the track; the mean over objects.
      straight: in [0, 1], 1 - mean distance of the track from that path in usual radii of a sprite; the least.
      sharp in [0, 1], texture in [-1, 1]: benchmarks.studies.measures.look; the most, as one object may hide another.
      identity: 1 where, of all thirty sprites, the captioned one correlates best with what is there, and by 0.45, else 0; the least.
    Judged by the reference:
      motion: in [0, 1], straight * min(1, speed / slowest, fastest / speed).
      moves_right: speed and straightness are as those of true golden clips; looks_right: sharpness, texture and identity; both. 0 or 1.
    """
    shape, colour = sprites_of(captions)
    raw = _raw(_clean(frames), shape, colour, reference.fps)
    bars = {name: getattr(reference, name)[(shape[:, 1] >= 0).astype(int)] for name in ('slowest', 'fastest', *LEAST)}
    moves, looks = _moves(raw, bars), _looks(raw, bars)
    near = np.minimum(np.minimum(raw['speed'] / bars['slowest'], 1), bars['fastest'] / np.maximum(raw['speed'], 1e-6))
    judged = {'motion': raw['straight'] * near, 'moves_right': moves, 'looks_right': looks, 'both': moves & looks}
    return raw | {name: value.astype(np.float64) for name, value in judged.items()}


def distances(frames, measured, reference):
    """How far a set of samples is from the true golden clips.

    frechet: squared, of features, in units of the true ones' total variance; it falls with the number of samples, so compare sets of one
    size. speed: Wasserstein-1 of the speeds, in frame diagonals a second. measured: what `measure` found.
    """
    away = frechet(*gaussian(features(frames)), reference.mean, reference.covariance)
    return {'frechet': away / float(np.trace(reference.covariance)),
            'speed': float(stats.wasserstein_distance(measured['speed'], reference.speeds))}


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


def _clean(frames):
    frames = np.asarray(frames)
    return frames if frames.dtype == np.uint8 else np.clip(np.nan_to_num(frames, posinf=0, neginf=0), 0, 255).astype(np.float32)


def _raw(frames, shape, colour, fps):
    """The measures that need no reference, [B] each."""
    row, place = np.nonzero(shape >= 0)
    padded = np.arange(-(-len(row) // CHUNK) * CHUNK) % len(row)  # all chunks have one size, so one program serves them
    parts = [(row[part], shape[row[part], place[part]], colour[row[part], place[part]]) for part in padded.reshape(-1, CHUNK)]
    chunks = [_each(frames[rows], *kinds, fps) for rows, *kinds in parts]
    each = {name: np.concatenate([chunk[name] for chunk in chunks])[:len(row)] for name in JOINED}
    return {name: _joined(each[name], row, place, len(frames), how) for name, how in JOINED.items()}


def _each(frames, shape, colour, fps):
    """The measures of one sprite in each clip."""
    found = track(frames, shape, colour)
    weight = np.clip(found.score, 0.01, 1).astype(np.float32) ** 4  # where another object hides this one, it counts little
    velocity, paths = (np.asarray(x, np.float64) for x in fit_paths(found.positions, weight, found.radius, fps))
    away = (np.linalg.norm(paths - found.positions, axis=-1) * weight).sum(-1) / weight.sum(-1)
    texture, sharp = look(frames, found, shape, colour)
    return {'speed': np.hypot(*velocity.T) / np.sqrt(2), 'straight': np.maximum(1 - away / RADIUS, 0), 'sharp': sharp, 'texture': texture,
            'identity': _identity(found.scores, shape * len(scenes.COLOURS) + colour)}


def _identity(scores, sprite):
    """1.0 where scores [N, 30] are highest at `sprite` [N], and high enough that something is there at all."""
    return ((scores.argmax(-1) == sprite) & (scores.max(-1) >= FOUND)).astype(np.float64)


def _joined(values, row, place, count, how):
    """[count]: `how` over the sprites of each clip of values, one for each of the rows and places."""
    table = np.ma.masked_all((count, 2))
    table[row, place] = values
    return np.asarray(how(table, axis=1), np.float64)


def _moves(raw, bars):
    return (raw['speed'] >= bars['slowest']) & (raw['speed'] <= bars['fastest']) & (raw['straight'] >= bars['straight'])


def _looks(raw, bars):
    return (raw['sharp'] >= bars['sharp']) & (raw['texture'] >= bars['texture']) & (raw['identity'] == 1)


def _thresholds(raw):
    """{name: threshold}: of each judgement, quantiles of one level, the highest at which a share PASS still passes (or the most do)."""
    found = {}
    for passed in (_moves, _looks):
        levels = [_quantiles(raw, q) for q in np.linspace(0, 1 - PASS, 51)]
        shares = np.array([passed(raw, bars).mean() for bars in levels])
        best = levels[np.flatnonzero(shares >= min(PASS, shares.max()))[-1]]
        found |= {name: best[name] for name in (('slowest', 'fastest', 'straight') if passed is _moves else ('sharp', 'texture'))}
    return found


def _quantiles(raw, q):
    ends = {'slowest': np.quantile(raw['speed'], q / 2), 'fastest': np.quantile(raw['speed'], 1 - q / 2)}
    return ends | {name: min(np.quantile(raw[name], q), enough) for name, enough in LEAST.items()}
