"""Measures of samples against the truth: whether they move and look right, and how far they are as a set."""
import numpy as np
from scipy import stats

from benchmarks.studies.measures.features import features, frechet, gaussian
from benchmarks.studies.measures.raw import raw_measures, sprites_of
from benchmarks.studies.measures.reference import GOOD_ENOUGH, looks_right, moves_right


def measure(frames, captions, reference):
    """What each of B samples is worth: a dict of finite float64 [B].

    frames: [B, F, H, W, 3] in 0..255, uint8 or float (not finite counts as black). captions: B strings 'a red disc' or 'a red disc and
    a blue ring': the objects that must be there. Raises ValueError for other captions.

    Of the captioned objects, which benchmarks.studies.measures.track finds:
      speed: frame diagonals a second, of the bouncing path nearest to the track; the mean over objects.
      straight: in [0, 1], 1 - mean distance of the track from that path in usual radii of a sprite; the minimum.
      sharp in [0, 1], texture in [-1, 1]: benchmarks.studies.measures.visual; the maximum, as one object may hide another.
      identity: 1 where, of all thirty sprites, the captioned one correlates best with what is there, and by 0.45, else 0; the minimum.
    Judged by the reference:
      motion: in [0, 1], straight * min(1, speed / slowest, fastest / speed).
      moves_right: speed and straightness are as those of true golden clips; looks_right: sharpness, texture and identity; both. 0 or 1.
    """
    shape, colour = sprites_of(captions)
    raw = raw_measures(_clean(frames), shape, colour, reference.fps)
    bars = {name: getattr(reference, name)[(shape[:, 1] >= 0).astype(int)] for name in ('slowest', 'fastest', *GOOD_ENOUGH)}
    moves, looks = moves_right(raw, bars), looks_right(raw, bars)
    near = np.minimum(np.minimum(raw['speed'] / bars['slowest'], 1), bars['fastest'] / np.maximum(raw['speed'], 1e-6))
    judgements = {'motion': raw['straight'] * near, 'moves_right': moves, 'looks_right': looks, 'both': moves & looks}
    return raw | {name: value.astype(np.float64) for name, value in judgements.items()}


def distances(frames, measures, reference):
    """How far a set of samples is from the true golden clips.

    frechet: squared, of features, in units of the true ones' total variance; it falls with the number of samples, so compare sets of one
    size. speed: Wasserstein-1 of the speeds, in frame diagonals a second. measures: the dict of `measure`.
    """
    away = frechet(*gaussian(features(frames)), reference.mean, reference.covariance)
    return {'frechet': away / float(np.trace(reference.covariance)),
            'speed': float(stats.wasserstein_distance(measures['speed'], reference.speeds))}


def _clean(frames):
    frames = np.asarray(frames)
    return frames if frames.dtype == np.uint8 else np.clip(np.nan_to_num(frames, posinf=0, neginf=0), 0, 255).astype(np.float32)
