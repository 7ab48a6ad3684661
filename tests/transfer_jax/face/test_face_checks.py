"""scikit-learn's own checks of an estimator: exact fits here, wrapped estimators among the long tests."""
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils.estimator_checks import parametrize_with_checks

from transfer_jax.sklearn import MultiSourceClassifier, MultiSourceRegressor


@parametrize_with_checks([MultiSourceClassifier(folds=2), MultiSourceRegressor(folds=2)])
def test_an_exact_fit_is_an_estimator(estimator, check):
    check(estimator)


@pytest.mark.long
@parametrize_with_checks([MultiSourceClassifier(), MultiSourceRegressor(), MultiSourceClassifier(LogisticRegression(), random_state=0),
                          MultiSourceRegressor(Ridge())])
def test_a_wrapped_estimator_is_one(estimator, check):
    check(estimator)
