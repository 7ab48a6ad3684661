"""Means of refitted KL and their standard errors, without the noise that the linearised fits share."""
import math
from typing import NamedTuple

import numpy as np


class Draws(NamedTuple):
    """kl [R, W] of R draws at W ways of using the sources, NaN where no fit exists; linear [R, W] of the linearised fits on the same draws,
    whose exact means are expected [W]; linear and expected are None where KL is averaged as it is."""
    kl: np.ndarray
    linear: np.ndarray | None = None
    expected: np.ndarray | None = None

    def mean(self, column):
        """The expected KL of a column and its standard error."""
        return self._mean(lambda x: x[..., column])

    def difference(self, column, other):
        """By how much the expected KL of a column is above another's, and the standard error: they share their draws."""
        return self._mean(lambda x: x[..., column] - x[..., other])

    def failed(self, column):
        """How many draws have no fit."""
        return int(np.isnan(self.kl[:, column]).sum())

    def _mean(self, pick):
        """Draws without a fit are left out; the others are no fair sample of the linearised ones, which then do not help."""
        values = pick(self.kl)
        finite = np.isfinite(values)
        if self.linear is not None and finite.all():
            values = values - pick(self.linear) + pick(self.expected)
        values = values[finite]
        return (float(values.mean()), float(values.std(ddof=1) / len(values) ** 0.5)) if len(values) > 1 else (math.nan, math.nan)


def ratio(one, other):
    """mean(one) / mean(other) and its standard error, by the delta method: they are paired."""
    value = one.mean() / other.mean()
    return float(value), float((one - value * other).std() / other.mean() / len(one) ** 0.5)
