"""What classifier and regressor share: checks of what the user gives, the fit, and the attributes that it leaves."""
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted, validate_data

from transfer_jax.sklearn.checks import check_columns, check_estimator, check_finite, check_ridge, labels_of, named, takes_nan
from transfer_jax.sklearn.data import make_data
from transfer_jax.sklearn.linear import make_linear
from transfer_jax.sklearn.scales import in_other_units, uneven
from transfer_jax.sklearn.transfer import transfer
from transfer_jax.sklearn.wrapped import make_wrapped

LAST = frozenset({'coef_', 'intercept_', 'ridge_', 'estimator_'})  # of the last fit


class MultiSource(BaseEstimator):
    """The common part of both estimators."""

    def __sklearn_tags__(self):
        """Sparse rows and NaN are taken where the estimator takes them, sparse rows also by exact fits."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.estimator is None or get_tags(self.estimator).input_tags.sparse
        tags.input_tags.allow_nan = self.estimator is not None and takes_nan(self.estimator)
        return tags

    def _fit(self, x, y, sources, classes):
        """Sets every attribute of a fit to the target (x, y) and to sources {name: (x, y)}, y in numbers of classes or values."""
        random = None if self.random_state is None else check_random_state(self.random_state)
        data = make_data([x, *(part for part, _ in sources.values())], [y, *(labels for _, labels in sources.values())], classes,
                         self.folds, random, self.estimator is None)
        names = getattr(self, 'classes_', None)
        learner = make_linear(data, self.ridge) if self.estimator is None else make_wrapped(self.estimator, names, random, bool(sources))
        found = transfer(data, learner, tuple(sources), self.select)
        self.source_names_, self.weights_, self.effective_sizes_ = tuple(sources), found.weights, found.weights * data.sizes
        self.worth_, self.plan_, self.choice_ = found.worth, found.plan, found.choice
        units = [note for name, part in zip(sources, data.x[1:], strict=True) for note in in_other_units(name, part, data.x[0])]
        self.notes_ = (*(uneven(data.x[0]) if self.estimator is None else ()), *units, *found.notes)
        self.cv_results_ = None if found.selection is None else found.selection.results()
        fitted = learner.fit(data, found.weights)
        for name in LAST.intersection(vars(self)):  # of a fit before, with another kind of estimator
            delattr(self, name)
        if self.estimator is None:
            self.coef_, self.intercept_, self.ridge_ = *fitted, learner.ridge
        else:
            self.estimator_ = fitted
        return self

    def _check_settings(self, classifies):
        """Raises ValueError where a parameter has no meaning."""
        check_estimator(self.estimator, classifies)
        if not isinstance(self.folds, int | np.integer) or self.folds < 2:
            raise ValueError(f'folds is {self.folds!r}; it must be a whole number from 2 on')
        check_ridge(self.ridge)
        if not isinstance(self.select, bool | np.bool_):
            raise ValueError(f'select is {self.select!r}; it must be True or False')
        if self.ridge is not None and self.estimator is not None:
            raise ValueError('ridge is of exact linear fits; with an estimator, set its own penalty and leave ridge at None')

    def _checked(self, x, y, sources, numeric):
        """(x, y, {name: (x, y)}) of target and sources, in the form that the fits take."""
        x, y = validate_data(self, x, y, ensure_min_samples=2, y_numeric=numeric, **self._accepted())
        return x, y, {name: self._checked_source(name, *part, numeric) for name, part in named(sources).items()}

    def _checked_source(self, name, x, y, numeric):
        check_columns(name, x, self.n_features_in_)
        options = {**self._accepted(), 'ensure_all_finite': False}
        try:
            x = validate_data(self, x, reset=False, **options)
        except (TypeError, ValueError) as error:
            raise ValueError(f'{name}: {error}') from error
        y = labels_of(name, y, x.shape[0], numeric)
        check_finite(name, x, get_tags(self).input_tags.allow_nan)
        return x, y

    def _accepted(self):
        """What X may be, as arguments of validate_data."""
        tags = get_tags(self).input_tags
        return {'accept_sparse': 'csr' if tags.sparse else False, 'dtype': np.float64,
                'ensure_all_finite': 'allow-nan' if tags.allow_nan else True}

    def _inputs(self, x):
        check_is_fitted(self, 'weights_')
        return validate_data(self, x, reset=False, **self._accepted())
