"""The scored clips of a scores.parquet as a few arrays of floats, with what else the page about it reads of the file."""
import collections
import dataclasses
import re
import zlib

import numpy as np

from tqd_jax.clips import places
from tqd_jax.scoring.measures import MEASURES, Measure
from tqd_jax.scoring.scores import Scores, read_scores
from tqd_jax.timesteps.quadrants import quadrant

FORMAT = ('width', 'height', 'fps', 'duration')
TRUTH = ('true_motion', 'true_visual')
COLUMNS = {measure.name: measure for measure in (
    Measure('motion', 'motion', 'diagonals / s', 'the score: motion_top, or motion_object without the camera; or as another tool has it'),
    Measure('visual', 'visual', '0 to 1', 'the score of visual quality, detail less what makes it ugly; of another tool, as that has it'),
    *MEASURES,
    Measure('width', '', 'pixels', 'of the picture that a player shows'),
    Measure('height', '', 'pixels', 'of the picture that a player shows'),
    Measure('fps', '', 'frames / s', 'mean rate of the frames that a player shows'), Measure('duration', '', 's', 'of what a player shows'),
    Measure('true_motion', 'motion', 'rendered', 'what the clip was made with'),
    Measure('true_visual', 'visual', 'rendered', 'what the clip was made with'))}
NOT_MEASURES = ('motion', 'visual', 'mq', 'vq', *FORMAT, *TRUTH)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoreTable:
    """The N scored clips of a file: those whose motion, visual, mq and vq are finite.

    rows: int [N], where they stand in the file. motion, visual, mq, vq: float64 [N]. quadrant: int [N], into QUADRANTS. order: int [N],
    a shuffle by a hash of the clips' ids: its first n are a sample that does not depend on the order of the file. measures: names of the
    raw measures.
    """
    file: Scores
    rows: np.ndarray
    motion: np.ndarray
    visual: np.ndarray
    mq: np.ndarray
    vq: np.ndarray
    quadrant: np.ndarray
    order: np.ndarray
    measures: tuple

    def column(self, name):
        """float64 [N] of a numeric column, NaN where it is null."""
        return self.file.numbers(name)[self.rows]

    def texts(self, name, chosen):
        """List of the text column's values of the scored clips `chosen` (int [n])."""
        return self.file.texts(name, self.rows[chosen])

    def clips_at(self, chosen):
        """Paths or URLs of the scored clips `chosen` (int [n]), to open."""
        return [places.join(places.parent(str(self.file.path)), name) for name in self.texts('clip', chosen)]

    def has(self, name):
        """Whether the file has the column."""
        return name in self.file.columns

    def reasons(self, listed):
        """(Counter of kinds of reasons, the first `listed` (clip, reason)); a kind is what is left without numbers and details."""
        kinds, first = collections.Counter(), []
        for batch in self.file.batches(['clip', 'reason'], 'reason'):
            reasons = batch['reason'].to_pylist()
            kinds.update(map(kind_of_reason, reasons))
            first += list(zip(batch['clip'].to_pylist(), reasons, strict=True))[:listed - len(first)]
        return kinds, first


def read_score_table(path, seed=0):
    """The ScoreTable of a scores.parquet; seed: of its order."""
    file = read_scores(path)
    raw = {name: file.numbers(name) for name in ('motion', 'visual', 'mq', 'vq')}
    rows = np.flatnonzero(np.all([np.isfinite(values) for values in raw.values()], axis=0))
    scores = {name: values[rows] for name, values in raw.items()}
    order = np.argsort(_hashes(file, seed)[rows], kind='stable')
    return ScoreTable(file=file, rows=rows, **scores, quadrant=quadrant(scores['mq'], scores['vq']), order=order,
                      measures=tuple(name for name in file.numeric if name not in NOT_MEASURES))


def kind_of_reason(reason):
    """'frames of 4x4 pixels: outside 8 a side' -> 'frames of … pixels'."""
    return re.sub(r'\d+(?:[.x]\d+)*', '…', re.split(r'[:(]', reason)[0]).strip()


def _hashes(file, seed):
    keys = (key for batch in file.batches(['id']) for key in batch['id'].to_pylist())
    return np.fromiter((zlib.crc32((key or '').encode(), seed) for key in keys), np.uint32, file.clips)
