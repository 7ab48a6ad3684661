"""Scores of a ranking, class by class at once: the area under the ROC curve, and average precision; ties count as in scikit-learn."""
import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ranking:
    """Rows in the order of a falling score, column by column.

    hits [m, C]: whether the row there is of the column's class. first, last [m, C]: the first and last place of the rows of equal score.
    """
    hits: np.ndarray
    first: np.ndarray
    last: np.ndarray

    def auc(self) -> np.ndarray:
        """[C]: the probability that a row of the class has a higher score than another row, half of it where they are equal.

        NaN where all rows, or none, are of the class.
        """
        negatives = np.cumsum(~self.hits, 0)
        before = np.take_along_axis(negatives, self.first, 0) - ~np.take_along_axis(self.hits, self.first, 0)
        above = (before + np.take_along_axis(negatives, self.last, 0)) / 2  # negatives above a row, half of those beside it
        count, others = self.hits.sum(0), negatives[-1]
        return 1 - _over(np.sum(np.where(self.hits, above, 0), 0), count * others)

    def average_precision(self) -> np.ndarray:
        """[C]: sum over thresholds of precision times the recall that each adds; NaN where all rows, or none, are of the class."""
        found, count = np.take_along_axis(np.cumsum(self.hits, 0), self.last, 0), self.hits.sum(0)
        return _over(np.sum(np.where(self.hits, found / (self.last + 1), 0), 0), np.where(count < len(self.hits), count, 0))


def rank(scores: np.ndarray, hits: np.ndarray) -> Ranking:
    """The Ranking of scores [m, C], m >= 1, where hits [m, C] says which rows are of a column's class."""
    order = np.argsort(-scores, 0, kind='stable')
    ordered, places = np.take_along_axis(scores, order, 0), np.arange(len(scores))[:, None]
    edge = np.ones((1, scores.shape[1]), bool)
    differs = ordered[1:] != ordered[:-1]
    first = np.maximum.accumulate(np.where(np.concatenate([edge, differs]), places, 0), 0)
    last = np.minimum.accumulate(np.where(np.concatenate([differs, edge]), places, len(scores))[::-1], 0)[::-1]
    return Ranking(hits=np.take_along_axis(hits, order, 0), first=first, last=last)


def _over(values, counts):
    """values / counts, NaN where the count is 0."""
    return np.divide(values, counts, out=np.full(len(values), np.nan), where=counts > 0)
