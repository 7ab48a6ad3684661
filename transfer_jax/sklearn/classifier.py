"""MultiSourceClassifier: classes of a target with few labels, learned from it and from sources at their optimal weights."""
import numpy as np
import scipy.special
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets

from transfer_jax.runtime.counts import counted, plural
from transfer_jax.sklearn.base import MultiSource


class MultiSourceClassifier(ClassifierMixin, MultiSource):
    """A classifier that learns from a target and from sources, each at the weight that the target's own data supports (UOWQ).

    estimator: None for exact multinomial logistic regressions; else any classifier whose fit takes sample_weight (or a pipeline whose last
    step does), of which clones are fitted to target and sources together. ridge: lambda of lambda |theta|^2 / 2, scikit-learn's 1 / C,
    the same in all linear fits; None chooses it on the target's folds. folds: of the target, two at least. select: weights are the
    average of the plan's, of a part of them, of more of them and of one weight for all, by their losses on folds, or no source
    (transfer_jax.evidence); else the plan's weights are taken. other_classes: what is done with rows of a source
    whose class the target has not, 'error' or 'drop'. random_state: None takes rows for folds in their order, and leaves the
    estimator's own random state; else a seed of both.

    Attributes: weights_ [K] of a source's sample relative to a target's; effective_sizes_ [K], weights_ times sizes; worth_: how many
    more target samples the sources are worth at these weights, as the plan sees it, below 0 where they do harm; plan_: a Plan with
    intervals, None without sources; choice_, cv_results_: what the folds favour, and by which scores; notes_: what the labels cannot tell,
    in sentences; source_names_; classes_; coef_, intercept_, ridge_, or estimator_.
    """

    def __init__(self, estimator=None, *, ridge=None, folds=5, select=True, other_classes='error', random_state=None):
        self.estimator = estimator
        self.ridge = ridge
        self.folds = folds
        self.select = select
        self.other_classes = other_classes
        self.random_state = random_state

    def fit(self, X, y, sources=()):
        """Fits to the target X [N0, F], y [N0] and to sources, pairs (X_k, y_k) in a sequence or in a dictionary by name.

        Raises ValueError where a source has other columns than the target, entries that are infinite or NaN (but where the estimator takes
        NaN), or (other_classes='error') classes that the target has not.
        """
        self._check_settings(classifies=True)
        if self.other_classes not in ('error', 'drop'):
            raise ValueError(f'other_classes is {self.other_classes!r}; it must be "error" or "drop"')
        X, y, sources = self._checked(X, y, sources, numeric=False)
        check_classification_targets(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f'the target has one class, {self.classes_[0]!r}; a classifier needs rows of two classes or more')
        sources = {name: self._known(name, *part) for name, part in sources.items()}
        return self._fit(X, numbers, sources, len(self.classes_))

    def _known(self, name, x, y):
        """The rows of a source whose class is one of the target's, with its number."""
        known = np.isin(y, self.classes_)
        if not known.all() and self.other_classes == 'error':
            raise ValueError(f'{name}: {np.count_nonzero(~known)} of {counted(len(y), "row")} '
                             f'{plural(np.count_nonzero(~known), "has", "have")} '
                             f'classes that the target has not, {sorted(set(y[~known].tolist()), key=str)[:5]}; its classes are '
                             f'{self.classes_.tolist()[:10]}: rename them, or set '
                             'other_classes="drop"')
        if not known.any():
            raise ValueError(f'{name}: no row has a class of the target, {self.classes_.tolist()[:10]}')
        return x[known], np.searchsorted(self.classes_, y[known])

    def predict(self, X):
        """The most likely class [n]."""
        X = self._inputs(X)
        if self.estimator is not None:
            return self.estimator_.predict(X)
        return self.classes_[self._logits(X).argmax(1)]

    def _logits(self, x):
        z = np.asarray(x @ self.coef_.T) + self.intercept_
        return z if len(self.classes_) > 2 else np.concatenate([np.zeros_like(z), z], 1)

    @available_if(lambda self: self.estimator is None or hasattr(getattr(self, 'estimator_', self.estimator), 'predict_proba'))
    def predict_proba(self, X):
        """Probabilities [n, C] in the order of classes_."""
        X = self._inputs(X)
        return scipy.special.softmax(self._logits(X), 1) if self.estimator is None else self.estimator_.predict_proba(X)
