"""MultiSourceRegressor: values of a target with few labels, learned from it and from sources at their optimal weights."""
import numpy as np
from sklearn.base import RegressorMixin

from transfer_jax.sklearn.base import MultiSource


class MultiSourceRegressor(RegressorMixin, MultiSource):
    """A regressor that learns from a target and from sources, each at the weight that the target's own data supports (UOWQ).

    estimator: None for exact ridge regressions; else any regressor whose fit takes sample_weight. ridge: scikit-learn's alpha, the same
    in all linear fits; None chooses it on the target's folds. Everything else is as in MultiSourceClassifier.
    """

    def __init__(self, estimator=None, *, ridge=None, folds=5, select=True, random_state=None):
        self.estimator = estimator
        self.ridge = ridge
        self.folds = folds
        self.select = select
        self.random_state = random_state

    def fit(self, X, y, sources=()):
        """Fits to the target X [N0, F], y [N0] and to sources, pairs (X_k, y_k) in a sequence or in a dictionary by name.

        Raises ValueError where a source has other columns than the target, or entries that are infinite or NaN (but where the estimator
        takes NaN).
        """
        self._check_settings(classifies=False)
        X, y, sources = self._checked(X, y, sources, numeric=True)
        return self._fit(X, np.asarray(y, float), {name: (x, np.asarray(labels, float)) for name, (x, labels) in sources.items()}, None)

    def predict(self, X):
        """Values [n]."""
        X = self._inputs(X)
        return self.estimator_.predict(X) if self.estimator is not None else np.asarray(X @ self.coef_[0]) + self.intercept_[0]
