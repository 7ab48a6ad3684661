"""Fits of the scikit-learn face with known weights are scikit-learn's; an estimator gets rows and weights as they are."""
import numpy as np
import pytest
import scipy.sparse
from faces import CLASSES, FEATURES, FEW, FOLDS, HOLED, MANY, MOST, NAMES, OWN, SOURCES, TARGET, TEST, TURNED, classifier, together
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from transfer_jax.sklearn import MultiSourceRegressor
from transfer_jax.sklearn.base import MultiSource
from transfer_jax.sklearn.data import make_data
from transfer_jax.sklearn.learner import loss_of
from transfer_jax.sklearn.linear import PATH, make_linear, row_space


@pytest.mark.parametrize('weight', [0, 1])
def test_a_fit_with_known_weights_is_scikit_learns(weight):
    data = make_data([TARGET[0], OWN[0], TURNED[0]], [np.searchsorted(NAMES, y) for _, y in (TARGET, OWN, TURNED)], CLASSES, FOLDS, None)
    coefficients, intercepts = make_linear(data, 2.0).fit(data, np.full(2, weight))
    x, y = together(*[TARGET, OWN, TURNED][:1 + 2 * weight])
    model = LogisticRegression(C=1 / 2, tol=1e-10, max_iter=5000).fit(x, y)
    np.testing.assert_allclose(coefficients, model.coef_, atol=1e-4)
    np.testing.assert_allclose(intercepts, model.intercept_, atol=1e-4)


@pytest.mark.parametrize('classes', [2, 3])
def test_without_sources_it_is_scikit_learns_on_the_target(classes):
    of_classes = np.isin(TARGET[1], NAMES[:classes])
    x, y = TARGET[0][of_classes], TARGET[1][of_classes]
    ours, model = classifier(ridge=2.0).fit(x, y), LogisticRegression(C=0.5, tol=1e-10).fit(x, y)
    assert ours.plan_ is None and ours.weights_.shape == (0,) and (ours.choice_, ours.worth_) == ('target only', 0)
    np.testing.assert_allclose(ours.predict_proba(x), model.predict_proba(x), atol=1e-4)
    np.testing.assert_allclose(ours.coef_, model.coef_, atol=1e-4)
    small = 1e-6 * x + 3
    np.testing.assert_allclose(classifier(ridge=2e-12).fit(small, y).predict_proba(small), model.predict_proba(x), atol=1e-4)
    assert (classifier().fit(small, y).predict(small) == classifier().fit(x, y).predict(x)).all()  # the path of ridges has their unit


@pytest.mark.parametrize('form', [np.asarray, scipy.sparse.csr_array])
def test_rows_in_their_own_space_give_the_losses_of_all_columns(form):
    rng = np.random.default_rng(7)
    x = rng.normal(size=(12, 40)) * (rng.random((12, 40)) < 0.4)
    mean, path = x.mean(0), np.ones((len(PATH), FOLDS, 0))
    losses = []
    for rows in (x, row_space(form(x), mean)):
        data = make_data([rows], [np.arange(12) % CLASSES], CLASSES, FOLDS, None)
        losses.append(loss_of(data, make_linear(data, 1.0).trials(data, path, 100 * PATH)))
    np.testing.assert_allclose(*losses, atol=5e-2)


def test_a_regression_is_scikit_learns():
    slope = np.arange(FEATURES) * 100.0
    x, y = TARGET[0], TARGET[0] @ slope + 500
    ours = MultiSourceRegressor(ridge=3.0, folds=FOLDS).fit(x, y)
    model = Ridge(alpha=3.0).fit(x, y)
    np.testing.assert_allclose(ours.predict(x), model.predict(x), atol=1e-2)
    value = lambda x, off, seed: x @ (slope + off) + 50 * np.random.default_rng(seed).normal(size=len(x))
    sources = [(OWN[0], value(OWN[0], 0, 1)), (TURNED[0], value(TURNED[0], 400, 2))]
    few = x, value(x, 0, 3)
    ours = MultiSourceRegressor(folds=FOLDS, select=False).fit(*few, sources)
    assert ours.weights_[0] == pytest.approx(MOST, rel=0.05) and ours.weights_[1] < 0.1 and ours.worth_ > 60
    by_ridge = MultiSourceRegressor(Ridge(alpha=ours.ridge_), folds=FOLDS, select=False).fit(*few, sources)
    np.testing.assert_allclose(by_ridge.weights_, ours.weights_, rtol=1e-2)  # values are the coordinates of both
    np.testing.assert_allclose(by_ridge.predict(x), ours.predict(x), rtol=1e-2, atol=1)


@pytest.mark.parametrize('estimator', [LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression()), LinearSVC()])
def test_an_estimator_learns_by_its_sample_weight(estimator):
    ours = classifier(estimator, select=False, random_state=0).fit(*TARGET, SOURCES)
    assert ours.weights_[0] > 5 * ours.weights_[1] and ours.score(*TEST) > 0.7
    assert hasattr(ours, 'predict_proba') == (not isinstance(estimator, LinearSVC))
    if isinstance(estimator, LogisticRegression):
        x, y = together(TARGET, OWN, TURNED)
        own = np.concatenate([np.ones(FEW), np.repeat(ours.weights_, MANY)])
        np.testing.assert_allclose(ours.predict_proba(TEST[0]), LogisticRegression().fit(x, y, own).predict_proba(TEST[0]), atol=1e-4)


def test_an_estimator_gets_rows_as_they_are():
    """NaN where it takes NaN; arrays of few entries as arrays, which many estimators need."""
    holed = classifier(make_pipeline(SimpleImputer(), LogisticRegression()), select=False).fit(*TARGET, [(HOLED, OWN[1])])
    full = classifier(LogisticRegression(), select=False).fit(*TARGET, [OWN])
    np.testing.assert_allclose(holed.weights_, full.weights_, rtol=0.1)
    thin = lambda pair: (pair[0] * (np.random.default_rng(0).random(pair[0].shape) < 0.05), pair[1])
    scaled = make_pipeline(StandardScaler(), LogisticRegression())
    assert classifier(scaled, select=False).fit(*thin(TARGET), [thin(OWN)]).weights_.shape == (1,)


def test_both_estimators_share_one_base():
    assert issubclass(MultiSourceRegressor, MultiSource) and not hasattr(MultiSourceRegressor(), 'predict_proba')
    assert MultiSourceRegressor(LinearRegression()).fit(TARGET[0], TARGET[0][:, 0]).score(TARGET[0], TARGET[0][:, 0]) > 0.999
