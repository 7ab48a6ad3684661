"""The measures of true golden clips, and the thresholds that tell whether a sample moves and looks as they do."""
import dataclasses

import numpy as np

from benchmarks.studies.measures.features import features, gaussian
from benchmarks.studies.measures.raw import raw_measures
from benchmarks.studies.world.clips import golden_clips

GOOD_ENOUGH = {'straight': 0.85, 'sharp': 0.75, 'texture': 0.85}  # even where true golden clips are better still
PASS = 0.95  # share of true golden clips that move right, and that look right
SEED = 1_000_003  # added to a world's seed: the reference shares no clip with it


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reference:
    """What true golden clips of another seed measure.

    fps: of the clips. slowest, fastest: frame diagonals a second. straight, sharp, texture: the minimum. Each is a threshold [2], for
    clips of one sprite and of two, which hide each other: quantiles such that 95 % of true golden clips move right and 95 % look right, but
    not above GOOD_ENOUGH (a track within half a pixel of 16, for one): a rendered clip is exact to a degree that no sample need be.
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
    clips = golden_clips(dataclasses.replace(world, seed=world.seed + SEED), count)
    raw, second = raw_measures(clips.frames, clips.shape, clips.colour, world.fps), clips.shape[:, 1] >= 0
    groups = [rows if rows.any() else ~rows for rows in (~second, second)]  # a world may know one number of sprites only
    bars = [_thresholds({name: values[rows] for name, values in raw.items()}) for rows in groups]
    mean, covariance = gaussian(features(clips.frames))
    return Reference(fps=world.fps, speeds=raw['speed'], mean=mean, covariance=covariance,
                     **{name: np.array([bar[name] for bar in bars]) for name in bars[0]})


def moves_right(raw, bars):
    """bool [B]: speed and straightness of raw measures are within bars {name: [B] or a number}."""
    return (raw['speed'] >= bars['slowest']) & (raw['speed'] <= bars['fastest']) & (raw['straight'] >= bars['straight'])


def looks_right(raw, bars):
    """bool [B]: sharpness and texture reach the bars, and the sprites are the captioned ones."""
    return (raw['sharp'] >= bars['sharp']) & (raw['texture'] >= bars['texture']) & (raw['identity'] == 1)


def _thresholds(raw):
    """{name: threshold}: for each judgement the highest quantiles, all of one order, at which a share PASS (or the most clips) passes."""
    thresholds = {}
    for judge, names in ((moves_right, ('slowest', 'fastest', 'straight')), (looks_right, ('sharp', 'texture'))):
        candidates = [_quantiles(raw, q) for q in np.linspace(0, 1 - PASS, 51)]
        shares = np.array([judge(raw, bars).mean() for bars in candidates])
        best = candidates[np.flatnonzero(shares >= min(PASS, shares.max()))[-1]]
        thresholds |= {name: best[name] for name in names}
    return thresholds


def _quantiles(raw, q):
    ends = {'slowest': np.quantile(raw['speed'], q / 2), 'fastest': np.quantile(raw['speed'], 1 - q / 2)}
    return ends | {name: min(np.quantile(raw[name], q), enough) for name, enough in GOOD_ENOUGH.items()}
