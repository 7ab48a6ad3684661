"""Linear: exact fits of a weighted generalised linear model to the target, its sources and parts of them, many side by side."""
import dataclasses
import functools

import numpy as np
import scipy.sparse
import scipy.special

from transfer_jax.experiment.linear.fits import TIGHT, fit_linear
from transfer_jax.experiment.linear.objective import Block
from transfer_jax.experiment.linear.rows import Rows, make_rows
from transfer_jax.sklearn.data import Data, Features, as_target
from transfer_jax.sklearn.learner import Outputs, held_out, loss_of

PATH = 10.0 ** np.arange(-4, 1.5, 0.5)  # ridges, in parts of the mean square of a row's distance from the mean row
DEFAULT = 1e-2  # of them, where there are no folds to choose by
LOOSE = 1e-4  # tolerance of fits that G is measured from, or that only say which of several is better


@dataclasses.dataclass(frozen=True, eq=False)
class Linear:
    """Exact fits to one Data. The solver sees (x - mean) / scale, the scale one number, and y in its own: no parameter is tiny.

    mean [F]; scale; offset, spread: of y, 0 and 1 for classes. ridge: lambda of |theta|^2 / 2, scikit-learn's alpha or 1 / C.
    """
    data: Data
    mean: np.ndarray
    scale: float
    offset: float
    spread: float
    ridge: float = 0.0

    @functools.cached_property
    def rows(self) -> tuple[Rows, ...]:
        """The solver's rows of the target and of each source."""
        return tuple(self._rows(x) for x in self.data.x)

    def _rows(self, x):
        if scipy.sparse.issparse(x):
            return make_rows(x, self.mean, self.scale)
        return Rows(np.concatenate([(x - self.mean) / self.scale, np.ones((len(x), 1))], 1))

    @functools.cached_property
    def moments(self) -> list[np.ndarray]:
        """Of every block's rows, computed once."""
        return [rows.moments() for rows in self.rows]

    def solve(self, weights: list[np.ndarray], ridges: np.ndarray | None = None, warm: np.ndarray | None = None,
              tolerance: float = TIGHT) -> np.ndarray:
        """theta [C, L, F + 1] of L fits with weights [L, n] of the rows of the target and of each source; ridges [L], or self.ridge."""
        blocks, moments = [], []
        for rows, labels, of_rows, moment in zip(self.rows, self.data.y, weights, self.moments, strict=True):
            lanes = np.flatnonzero(of_rows.any(1))
            if len(lanes):
                labels = labels if self.data.classes else (labels - self.offset) / self.spread
                blocks.append(Block(rows, labels, lanes, of_rows[lanes]))
                moments.append(moment)
        count, classes = len(weights[0]), self.data.classes
        ridges = np.full(count, self.ridge) if ridges is None else ridges
        prior = ridges / self.scale**2 * (2 if classes == 2 else 1)
        start = np.zeros((classes or 1, count, self.rows[0].shape[1]))
        return fit_linear(tuple(blocks), classes, prior, start, warm, moments=moments, tolerance=tolerance).theta

    def without_sources(self, target: np.ndarray) -> list[np.ndarray]:
        """The weights of solve for rows of the target alone, [L, N0]."""
        return [target, *(np.zeros((len(target), len(labels))) for labels in self.data.y[1:])]

    def outputs(self, data: Data) -> Outputs:
        """The Outputs: logits, or values. Every fit has rows of the weight N0 in all, `middle` those of every data set."""
        sources, folds = len(data.sizes), data.folds
        outside = np.stack([data.without(fold) for fold in range(-2, folds) if fold != -1]).astype(float)  # of all rows, and of each fold
        alone, middle = np.arange(1 + folds), np.arange(1 + folds + 3 * sources, 2 * (1 + folds) + 3 * sources)
        weights = [np.zeros((2 * (1 + folds) + 3 * sources, len(labels))) for labels in data.y]
        weights[0][alone] = weights[0][middle] = as_target(outside, data.size)
        for k, half in enumerate(data.halves):
            first = 1 + folds + 3 * k
            weights[1 + k][first:first + 3] = as_target(np.stack([half >= 0, half == 0, half == 1]), data.size)
            weights[1 + k][middle] = data.size / len(half)
        z = np.moveaxis(self.rows[0].product(self.solve(weights, tolerance=LOOSE)), 0, -1)
        each = z[1 + folds:middle[0]].reshape(sources, 3, *z.shape[1:])
        return Outputs(z[0], z[1:1 + folds], each[:, 0], each[:, 1:],
                       None if data.classes is None else scipy.special.softmax(z[middle], -1))

    def trials(self, data: Data, weights: np.ndarray, ridges: np.ndarray | None = None) -> np.ndarray:
        """Outputs [T, N0, C], see Learner; ridges [T]."""
        trials, folds = weights.shape[:2]
        outside = np.stack([data.without(fold) for fold in range(folds)]).astype(float)
        flat = weights.reshape(trials * folds, -1)
        of_rows = [np.tile(outside, (trials, 1)), *(np.repeat(flat[:, [k]], len(labels), 1) for k, labels in enumerate(data.y[1:]))]
        theta = self.solve(of_rows, None if ridges is None else np.repeat(ridges, folds), tolerance=LOOSE)
        z = np.moveaxis(self.rows[0].product(theta), 0, -1) * self.spread + self.offset
        return held_out(data, z.reshape(trials, folds, *z.shape[1:]))

    def fit(self, data: Data, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(coefficients [C, F], intercepts [C]) in the units of x and y; of two classes one row, the second's against the first's."""
        of_sources = (np.full((1, len(labels)), weight) for labels, weight in zip(data.y[1:], weights, strict=True))
        theta = self.solve([np.ones((1, data.size)), *of_sources])[:, 0]
        theta = theta[1:] - theta[:1] if data.classes == 2 else theta
        coefficients = theta[:, :-1] / self.scale * self.spread
        return coefficients, theta[:, -1] * self.spread + self.offset - coefficients @ self.mean


def make_linear(data: Data, ridge: float | None) -> Linear:
    """The Linear of a Data; ridge None: the one of a path with the least loss on the target's folds, without sources."""
    x, y = data.x[0], data.y[0]
    mean = np.asarray(x.mean(0), float).reshape(-1)
    square = np.asarray((x.multiply(x) if scipy.sparse.issparse(x) else np.square(x - mean)).mean(0)).reshape(-1)
    variance = float(np.maximum(square - mean**2 if scipy.sparse.issparse(x) else square, 0).sum())
    offset, spread = (0.0, 1.0) if data.classes else (float(y.mean()), float(y.std()) or 1.0)
    linear = Linear(data, mean, (variance / len(mean)) ** 0.5 or 1.0, offset, spread, (variance or 1.0) * DEFAULT)
    return dataclasses.replace(linear, ridge=linear.ridge / DEFAULT * choose(linear, variance or 1.0) if ridge is None else float(ridge))


def row_space(x: Features, mean: np.ndarray) -> np.ndarray:
    """Coordinates [n, n] of rows x - mean [n, F] in the space that they span: ridge fits to them are the same, with n columns for F."""
    products, across = x @ x.T, np.asarray(x @ mean).reshape(-1)
    products = products.toarray() if scipy.sparse.issparse(products) else products
    values, vectors = np.linalg.eigh(products - across[:, None] - across + mean @ mean)
    return vectors * np.sqrt(np.maximum(values, 0))


def choose(linear: Linear, variance: float) -> float:
    """The part of PATH with the least loss on the target's folds; DEFAULT where there are none."""
    data = linear.data
    if not data.folds:
        return DEFAULT
    x = data.x[0] if data.size > len(linear.mean) else row_space(data.x[0], linear.mean)
    alone = dataclasses.replace(linear, data=dataclasses.replace(data, x=(x,), y=data.y[:1], halves=()),
                                mean=linear.mean if x is data.x[0] else np.zeros(x.shape[1]))
    losses = loss_of(data, alone.trials(alone.data, np.zeros((len(PATH), data.folds, 0)), variance * PATH))
    return float(PATH[np.argmin(np.nanmean(losses, 1))])
