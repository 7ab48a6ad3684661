"""Measurement: G of sources in the unit of the target's own noise, from what fits say about the target's rows.

A fit has coordinates xi_i at row i of the target in which the Fisher metric of the outputs is Euclid's; the squared distance of two fits is
mean_i |xi_i - xi_i'|^2 = d times that of their parameters in J / d. Every quantity is divided by c, the noise of one sample of the target,
measured in the same coordinates: d cancels, and F becomes c times F.
"""
import dataclasses

import jax
import numpy as np

from transfer_jax.debias import debias_gram
from transfer_jax.evidence import COMMON_BIAS
from transfer_jax.sklearn.data import Data
from transfer_jax.sklearn.learner import Outputs


@dataclasses.dataclass(frozen=True, eq=False)
class Measurement:
    """gram [K, K] and replicates [F, K, K] of what weights are decided from, in units in which the target's own noise is 1 / N0.

    They are without the noise of fits, and with the bias COMMON_BIAS / N0 in every entry (transfer_jax.evidence).
    unit: c, the noise of one sample in the coordinates; d: how many directions that noise has.
    """
    gram: np.ndarray
    replicates: np.ndarray
    unit: float
    d: float


def measure(data: Data, outputs: Outputs) -> Measurement:
    """The Measurement of a Data from Outputs of its fits. Replicate f is what the rows outside fold f say, by fits to these rows."""
    within = [np.ones(data.size, bool), *(data.without(fold) for fold in range(data.folds))]
    centres = [outputs.target, *outputs.folds]
    grams, of_sources = zip(*(distances(outputs, centre, number, rows) for number, (centre, rows) in
                              enumerate(zip(centres, within, strict=True))), strict=True)
    noise, d = target_noise(outputs)
    unit = noise * data.size if data.folds else float(np.mean(data.sizes * of_sources[0]))
    unit = max(unit, 1e-9 * float(np.trace(grams[0])) or 1.0)
    ours = np.array([1 / rows.sum() for rows in within])
    with jax.enable_x64(True):
        debiased = np.asarray(debias_gram(np.stack(grams) / unit, data.size, data.sizes, d, noise=(ours, np.stack(of_sources) / unit)))
    gram, *replicates = debiased + COMMON_BIAS / data.size
    return Measurement(gram, np.reshape(replicates, (-1, *gram.shape)), unit, d)


def distances(outputs: Outputs, centre: np.ndarray, number: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(products [K, K] of the sources' differences from a fit [N0, C], noise [K] of their fits), means over rows [N0] of a mask."""
    metric = None if outputs.metrics is None else outputs.metrics[number]
    apart = coordinates(outputs.sources - centre, metric)[:, rows].reshape(len(outputs.sources), -1)
    halves = coordinates(outputs.halves[:, 0] - outputs.halves[:, 1], metric)[:, rows].reshape(len(apart), -1)
    return apart @ apart.T / rows.sum(), np.square(halves).sum(1) / rows.sum() / 4


def coordinates(z: np.ndarray, p: np.ndarray | None) -> np.ndarray:
    """xi [..., N0, C] of differences of outputs: |xi|^2 = z' (diag p - p p') z where z are logits, the Fisher information of a softmax."""
    return z if p is None else np.sqrt(p) * (z - (p * z).sum(-1, keepdims=True))


def target_noise(outputs: Outputs) -> tuple[float, float]:
    """(variance of the fit to the target by the jackknife over folds, d: the number of directions that it has).

    With m + 1 folds, W the deviations' Gram matrix and S their covariance, E tr(W)^2 = m^2 tr(S)^2 + 2 m tr(S^2) and E tr(W^2) =
    m tr(S)^2 + m (m + 1) tr(S^2) for normal deviations; d = tr(S)^2 / tr(S^2), at most the numbers that the rows have.
    """
    folds = outputs.folds
    most = float(max(1, outputs.target.size - (len(outputs.target) if outputs.target.shape[1] > 1 else 0)))
    if len(folds) < 2:
        return 0.0, most
    metric = None if outputs.metrics is None else outputs.metrics[0]
    apart = coordinates(folds - folds.mean(0), metric).reshape(len(folds), -1)
    products, m = apart @ apart.T / len(outputs.target), len(folds) - 1
    whole, square = np.trace(products) ** 2, np.square(products).sum()
    noise = m / (m + 1) * np.trace(products)
    spread = m * square - whole
    return float(noise), float(np.clip(((m + 1) * whole - 2 * square) / spread, 1, most)) if m > 1 and spread > 0 else most
