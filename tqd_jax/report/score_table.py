"""A scores.parquet read column by column, so that a million clips cost a few arrays of floats: scores, and why others have none."""
import collections
import dataclasses
import pathlib
import re
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from tqd_jax.clips import places
from tqd_jax.scoring.measures import MEASURES, Measure
from tqd_jax.timesteps.quadrants import quadrant

FORMAT = ('width', 'height', 'fps', 'duration')
TRUTH = ('true_motion', 'true_look')
COLUMNS = {measure.name: measure for measure in (
    Measure('motion', 'motion', 'diagonals / s', 'the score of motion, motion_top; if given, as its tool has it'),
    Measure('visual', 'look', '0 to 1', 'the score of look, detail less what makes it ugly; if given, as its tool has it'),
    *MEASURES,
    Measure('width', '', 'pixels', 'of the file'), Measure('height', '', 'pixels', 'of the file'),
    Measure('fps', '', 'frames / s', 'mean rate of the file'), Measure('duration', '', 's', 'of the file'),
    Measure('true_motion', 'motion', 'rendered', 'what the clip was made with'),
    Measure('true_look', 'look', 'rendered', 'what the clip was made with'))}
NOT_MEASURES = ('motion', 'visual', 'mq', 'vq', 'scorer_version', *FORMAT, *TRUTH)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoreTable:
    """The N scored clips of a file of `clips` rows: those whose motion, visual, mq and vq are finite.

    rows: int [N], where they stand in the file. motion, visual, mq, vq: float64 [N]. quadrant: int [N], into QUADRANTS. order: int [N],
    a shuffle by a hash of the clips' ids: its first n are a sample that does not depend on the order of the file. measures: names of the
    raw measures.
    """
    path: pathlib.Path
    clips: int
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
        return _floats(self.path, name)[self.rows]

    def texts(self, name, chosen):
        """List of the text column's values of the scored clips `chosen` (int [n])."""
        column = pa.parquet.read_table(self.path, columns=[name])[name].combine_chunks()
        return column.take(pa.array(self.rows[chosen])).to_pylist()

    def clips_at(self, chosen):
        """Paths or URLs of the scored clips `chosen` (int [n]), to open."""
        return [places.join(places.parent(str(self.path)), name) for name in self.texts('clip', chosen)]

    def has(self, name):
        """Whether the file has the column."""
        return name in pa.parquet.read_schema(self.path).names

    def reasons(self, listed):
        """(Counter of kinds of reasons, the first `listed` (clip, reason)); a kind is what is left without numbers and details."""
        kinds, first = collections.Counter(), []
        for batch in pa.parquet.ParquetFile(self.path).iter_batches(columns=['clip', 'reason']):
            batch = batch.filter(batch['reason'].is_valid())
            reasons = batch['reason'].to_pylist()
            kinds.update(map(kind_of_reason, reasons))
            first += list(zip(batch['clip'].to_pylist(), reasons, strict=True))[:listed - len(first)]
        return kinds, first


def read_score_table(path, seed=0):
    """The ScoreTable of a scores.parquet; seed: of its order."""
    path = pathlib.Path(path)
    raw = {name: _floats(path, name) for name in ('motion', 'visual', 'mq', 'vq')}
    rows = np.flatnonzero(np.all([np.isfinite(values) for values in raw.values()], axis=0))
    scores = {name: values[rows] for name, values in raw.items()}
    order = np.argsort(_hashes(path, seed)[rows], kind='stable')
    return ScoreTable(path=path, clips=len(raw['motion']), rows=rows, **scores, quadrant=quadrant(scores['mq'], scores['vq']), order=order,
                      measures=_measures(path))


def kind_of_reason(reason):
    """'frames of 4x4 pixels: outside 8 a side' -> 'frames of … pixels'."""
    return re.sub(r'\d+(?:[.x]\d+)*', '…', re.split(r'[:(]', reason)[0]).strip()


def _measures(path):
    numeric = lambda kind: pa.types.is_floating(kind) or pa.types.is_integer(kind)
    return tuple(field.name for field in pa.parquet.read_schema(path) if numeric(field.type) and field.name not in NOT_MEASURES)


def _floats(path, name):
    return pa.parquet.read_table(path, columns=[name])[name].cast(pa.float64()).to_numpy()


def _hashes(path, seed):
    batches = pa.parquet.ParquetFile(path).iter_batches(columns=['id'])
    return np.array([zlib.crc32((key or '').encode(), seed) for batch in batches for key in batch['id'].to_pylist()], np.uint32)
