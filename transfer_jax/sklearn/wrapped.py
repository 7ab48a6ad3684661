"""Wrapped: fits of clones of any scikit-learn estimator, by its sample_weight, and distances of its predictions."""
import dataclasses
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from transfer_jax.sklearn.data import Data, as_target, stack
from transfer_jax.sklearn.learner import CLIP, Outputs, held_out


@dataclasses.dataclass(frozen=True, eq=False)
class Wrapped:
    """Clones of an estimator, fitted to rows with labels `names` [C] (None: a regression). seeds: its parameters of random states."""
    estimator: Any
    names: np.ndarray | None
    seeds: dict

    def train(self, data: Data, weights: list[np.ndarray]) -> Any:
        """A clone, fitted to the rows whose weight is not 0, of weights [n] of the target and of each source."""
        used = [(x[of_rows > 0], y[of_rows > 0], of_rows[of_rows > 0]) for x, y, of_rows in zip(data.x, data.y, weights, strict=True)
                if (of_rows > 0).any()]
        x, y, of_rows = stack(tuple(part[0] for part in used)), *(np.concatenate(parts) for parts in list(zip(*used, strict=True))[1:])
        y = y if self.names is None else self.names[y]
        if self.names is not None and len(np.unique(y)) == 1:
            return Constant(y[0])
        model = clone(self.estimator).set_params(**self.seeds)
        key = weight_key(model)
        return model.fit(x, y, **({} if key is None or (of_rows == 1).all() else {key: of_rows}))

    def predict(self, model: Any, x: Any) -> np.ndarray:
        """Probabilities [n, C] of all classes (1 for the predicted one where the estimator has none), or values [n, 1]."""
        if self.names is None:
            return np.asarray(model.predict(x), float).reshape(-1, 1)
        out = np.zeros((x.shape[0], len(self.names)))
        if hasattr(model, 'predict_proba'):
            out[:, np.searchsorted(self.names, model.classes_)] = model.predict_proba(x)
        else:
            out[np.arange(len(out)), np.searchsorted(self.names, model.predict(x))] = 1
        return out

    def outputs(self, data: Data) -> Outputs:
        """The Outputs: 2 sqrt(p), in which the Fisher metric of a class is Euclid's, or values."""
        none = [np.zeros(len(labels)) for labels in data.y]
        seen = lambda k, rows: self._coordinates(data, [*none[:k], as_target(rows, data.size), *none[k + 1:]])
        halves = lambda k, half: [seen(k, half == number) if (half == number).any() else seen(k, half >= 0) for number in (0, 1)]
        target = seen(0, data.fold >= -1)
        folds = [seen(0, data.without(fold)) for fold in range(data.folds)]
        sources = [seen(k, half >= 0) for k, half in enumerate(data.halves, 1)]
        return Outputs(target, np.array(folds).reshape(-1, *target.shape), np.stack(sources),
                       np.stack([halves(k, half) for k, half in enumerate(data.halves, 1)]), None)

    def _coordinates(self, data, weights):
        predicted = self.predict(self.train(data, weights), data.x[0])
        return predicted if self.names is None else 2 * np.sqrt(np.maximum(predicted, 0))

    def trials(self, data: Data, weights: np.ndarray) -> np.ndarray:
        """Values, or logarithms of probabilities of at least CLIP, [T, N0, C], see Learner."""
        fits = [[self.train(data, of_rows(data, own, data.without(fold))) for fold, own in enumerate(trial)] for trial in weights]
        predicted = np.array([[self.predict(model, data.x[0]) for model in of_trial] for of_trial in fits])
        return held_out(data, predicted if self.names is None else np.log(np.maximum(predicted, CLIP)))

    def fit(self, data: Data, weights: np.ndarray) -> Any:
        """The estimator, fitted to target and sources together."""
        return self.train(data, of_rows(data, weights))


class Constant:
    """The classifier of rows of one class, which many estimators refuse."""

    def __init__(self, label):
        self.classes_ = np.array([label])

    def predict(self, x: Any) -> np.ndarray:
        """The class [n]."""
        return np.repeat(self.classes_, x.shape[0])

    def predict_proba(self, x: Any) -> np.ndarray:
        """Its probability [n, 1]."""
        return np.ones((x.shape[0], 1))


def of_rows(data: Data, weights: np.ndarray, target: np.ndarray | None = None) -> list[np.ndarray]:
    """Weights of rows of the target (all 1, or a mask [N0]) and of the sources, from those [K] of the sources."""
    first = np.ones(data.size) if target is None else target.astype(float)
    return [first, *(np.full(len(labels), weight) for labels, weight in zip(data.y[1:], weights, strict=True))]


def weight_key(estimator: Any) -> str | None:
    """The keyword of fit for weights: sample_weight, or that of a pipeline's last step; None where fit takes none."""
    if isinstance(estimator, Pipeline):
        name, last = estimator.steps[-1]
        inner = None if last in (None, 'passthrough') else weight_key(last)
        return inner and f'{name}__{inner}'
    return 'sample_weight' if has_fit_parameter(estimator, 'sample_weight') else None


def make_wrapped(estimator: Any, names: np.ndarray | None, random_state: np.random.RandomState | None, weighted: bool) -> Wrapped:
    """The Wrapped of an estimator; with random_state every random state of it that is None gets a number.

    Raises ValueError where there are sources (weighted) and its fit takes no sample_weight.
    """
    if weighted and weight_key(estimator) is None:
        raise ValueError(f'{type(estimator).__name__}.fit takes no sample_weight, by which sources are weighed: choose another estimator, '
                         'or estimator=None for exact linear fits')
    seeds = {name: random_state.randint(2**31 - 1) for name, value in sorted(estimator.get_params().items())
             if name.split('__')[-1] == 'random_state' and value is None} if random_state is not None else {}
    return Wrapped(estimator, names, seeds)
