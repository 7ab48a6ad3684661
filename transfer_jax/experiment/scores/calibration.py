"""Calibration: predicted probabilities against what happened, in bins of equal width."""
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

BINS = 15


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bins:
    """Rows in BINS bins of the predicted probability: their number, the sum of their probabilities, and how many came true; [BINS] each."""
    rows: np.ndarray
    predicted: np.ndarray
    observed: np.ndarray

    def error(self) -> float:
        """The expected calibration error sum_b |predicted_b - observed_b| / rows (Naeini et al., AAAI 2015; Guo et al., ICML 2017).

        Finite samples make it positive for calibrated probabilities too: compare it on the same rows.
        """
        return float(np.sum(np.abs(self.predicted - self.observed)) / np.sum(self.rows))

    def plain(self) -> dict[str, list[float]]:
        """As lists, for JSON."""
        return {field.name: getattr(self, field.name).tolist() for field in dataclasses.fields(self)}


def bins_of(probabilities: np.ndarray, came_true: np.ndarray) -> Bins:
    """The Bins of probabilities [m] of events, and whether each came true [m]."""
    number = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    total = lambda values: np.bincount(number, values, minlength=BINS).astype(float)
    return Bins(rows=total(np.ones(len(number))), predicted=total(probabilities), observed=total(came_true.astype(float)))


def add(parts: Iterable[Bins | Mapping[str, list[float]]]) -> Bins:
    """The Bins of all rows of parts, which are Bins or what Bins.plain made of them."""
    plain = [part.plain() if isinstance(part, Bins) else part for part in parts]
    return Bins(**{field.name: np.sum([part[field.name] for part in plain], 0) for field in dataclasses.fields(Bins)})


def calibration(parts: Iterable[Bins]) -> dict[str, Any]:
    """{'bins': Bins.plain of all rows of the parts, 'errors': the calibration error of each}, for JSON."""
    parts = list(parts)
    return {'bins': add(parts).plain(), 'errors': [part.error() for part in parts]}
