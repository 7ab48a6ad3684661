"""Fits with known weights are scikit-learn's; weights have the symmetries of the problem; sparse rows give what dense ones do."""
import numpy as np
import pytest
import scipy.sparse
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from transfer_jax.sklearn import MultiSourceClassifier, MultiSourceRegressor
from transfer_jax.sklearn.base import MultiSource
from transfer_jax.sklearn.data import make_data
from transfer_jax.sklearn.linear import PATH, make_linear, row_space

CLASSES, FEATURES, FEW, MANY, FOLDS = 3, 6, 30, 240, 3
RNG = np.random.default_rng(7)
MEANS = 1.1 * RNG.normal(size=(CLASSES, FEATURES))
NAMES = np.array(['ant', 'bee', 'cow'])
ONES, ZEROS = np.ones(2), np.zeros(2)


def draw(n, seed, turn=0, noise=False):
    """(X, y): n rows of the target's law; turn: classes are named in turn; noise: labels say nothing."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % CLASSES
    x = MEANS[y] + rng.normal(size=(n, FEATURES))
    return x, NAMES[rng.integers(CLASSES, size=n) if noise else (y + turn) % CLASSES]


TARGET, OWN, TURNED, TEST = draw(FEW, 0), draw(MANY, 1), draw(MANY, 2, turn=1), draw(600, 3)
SOURCES = {'own': OWN, 'turned': TURNED}


def classifier(*args, **options):
    return MultiSourceClassifier(*args, folds=FOLDS, **options)


def together(*pairs):
    return np.concatenate([x for x, _ in pairs]), np.concatenate([y for _, y in pairs])


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
    assert ours.plan_ is None and ours.weights_.shape == (0,) and (ours.choice_, ours.worth_) == ('none', 0)
    np.testing.assert_allclose(ours.predict_proba(x), model.predict_proba(x), atol=1e-4)
    np.testing.assert_allclose(ours.coef_, model.coef_, atol=1e-4)
    small = 1e-6 * x + 3
    np.testing.assert_allclose(classifier(ridge=2e-12).fit(small, y).predict_proba(small), model.predict_proba(x), atol=1e-4)
    assert (classifier().fit(small, y).predict(small) == classifier().fit(x, y).predict(x)).all()  # the path of ridges has their unit


@pytest.mark.parametrize('form', [np.asarray, scipy.sparse.csr_array])
def test_rows_in_their_own_space_give_the_losses_of_all_columns(form):
    x = RNG.normal(size=(12, 40)) * (RNG.random((12, 40)) < 0.4)
    mean, path = x.mean(0), np.ones((len(PATH), FOLDS, 0))
    losses = []
    for rows in (x, row_space(form(x), mean)):
        data = make_data([rows], [np.arange(12) % CLASSES], CLASSES, FOLDS, None)
        losses.append(make_linear(data, 1.0).trials(data, path, 100 * PATH))
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
    assert ours.weights_[0] > 0.5 and ours.weights_[1] < 0.1 and ours.worth_ > 60
    by_ridge = MultiSourceRegressor(Ridge(alpha=ours.ridge_), folds=FOLDS, select=False).fit(*few, sources)
    np.testing.assert_allclose(by_ridge.weights_, ours.weights_, rtol=1e-2)  # values are the coordinates of both
    np.testing.assert_allclose(by_ridge.predict(x), ours.predict(x), rtol=1e-2, atol=1)


@pytest.fixture(scope='module')
def fitted():
    return classifier(select=False).fit(*TARGET, SOURCES)


def test_the_targets_own_law_weighs_one_and_wrong_names_nothing(fitted):
    assert fitted.weights_[0] > 0.5 and fitted.weights_[1] < 0.05 and fitted.choice_ == 'plan'
    assert fitted.worth_ == pytest.approx(fitted.effective_sizes_.sum(), rel=1e-6) and fitted.worth_ == pytest.approx(fitted.plan_.worth)
    np.testing.assert_allclose(fitted.effective_sizes_, fitted.weights_ * MANY)
    assert fitted.plan_.names == fitted.source_names_ == ('own', 'turned') and fitted.plan_.weight_intervals.shape == (2, 2)
    assert fitted.score(*TEST) > classifier().fit(*TARGET).score(*TEST)
    noise = classifier(select=False).fit(*TARGET, {'own': OWN, 'noise': draw(MANY, 4, noise=True)})
    assert noise.weights_[1] < 0.1


def test_equal_sources_weigh_alike_and_order_does_not_matter(fitted):
    other = classifier(select=False).fit(*TARGET, [TURNED, OWN])
    np.testing.assert_allclose(other.weights_[::-1], fitted.weights_, rtol=1e-3)
    np.testing.assert_allclose(other.predict_proba(TEST[0]), fitted.predict_proba(TEST[0]), atol=1e-3)
    twice = classifier(select=False).fit(*TARGET, [OWN, OWN])
    np.testing.assert_allclose(twice.weights_[0], twice.weights_[1], rtol=1e-4)


def test_folds_choose_the_best_of_their_scores(fitted):
    ours = classifier().fit(*TARGET, SOURCES)
    results = ours.cv_results_
    best = results['mean_test_score'].argmax()
    assert ours.choice_ == results['candidate'][best] and results['rank_test_score'][best] == 1
    np.testing.assert_array_equal(ours.weights_, results['weights'][best])
    np.testing.assert_allclose(results['weights'][1], fitted.weights_)
    bad = classifier().fit(*TARGET, {'turned': TURNED, 'again': draw(MANY, 5, turn=1)})
    assert bad.weights_.max() < 0.1 and bad.score(*TEST) > LogisticRegression().fit(*together(TARGET, TURNED)).score(*TEST)


def test_sparse_rows_are_dense_ones(fitted):
    sparse = lambda pair: (scipy.sparse.csr_array(pair[0]), pair[1])
    ours = classifier(select=False).fit(*sparse(TARGET), {name: sparse(pair) for name, pair in SOURCES.items()})
    assert ours.ridge_ == pytest.approx(fitted.ridge_)
    np.testing.assert_allclose(ours.weights_, fitted.weights_, rtol=1e-2)
    np.testing.assert_allclose(ours.predict_proba(sparse(TEST)[0]), fitted.predict_proba(TEST[0]), atol=2e-3)


@pytest.mark.parametrize('estimator', [LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression()), LinearSVC()])
def test_an_estimator_learns_by_its_sample_weight(estimator):
    ours = classifier(estimator, select=False, random_state=0).fit(*TARGET, SOURCES)
    assert ours.weights_[0] > 5 * ours.weights_[1] and ours.score(*TEST) > 0.7
    assert hasattr(ours, 'predict_proba') == (not isinstance(estimator, LinearSVC))
    if isinstance(estimator, LogisticRegression):
        x, y = together(TARGET, OWN, TURNED)
        own = np.concatenate([np.ones(FEW), np.repeat(ours.weights_, MANY)])
        np.testing.assert_allclose(ours.predict_proba(TEST[0]), LogisticRegression().fit(x, y, own).predict_proba(TEST[0]), atol=1e-4)


def test_one_label_a_class_has_no_folds_and_says_so():
    ours = classifier().fit(TARGET[0][:3], TARGET[1][:3], SOURCES)
    assert ours.choice_ == 'plan' and ours.cv_results_ is None and 'one label' in ours.notes_[0]


def test_a_random_state_alone_makes_folds_random(fitted):
    again = classifier(select=False).fit(*TARGET, SOURCES)
    np.testing.assert_array_equal(again.weights_, fitted.weights_)
    one, other = (classifier(select=False, random_state=seed).fit(*TARGET, SOURCES).weights_ for seed in (0, 0))
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, fitted.weights_)


@pytest.mark.parametrize(('model', 'sources', 'message'), [
    (classifier(), [(OWN[0][:, 1:], OWN[1])], 'source 0: .*5 features.*6 features'),
    (classifier(), {'zoo': (OWN[0], np.where(OWN[1] == 'ant', 'dog', OWN[1]))}, "zoo: 80 of 240 rows .*'dog'.*'ant', 'bee', 'cow'"),
    (classifier(), [OWN[0]], r'source 0: a source must be a pair \(X, y\)'),
    (classifier(KNeighborsClassifier()), [OWN], 'KNeighborsClassifier.fit takes no sample_weight'),
    (classifier(other_classes='drop'), [(OWN[0], np.repeat('dog', MANY))], 'source 0: no row has a class of the target'),
    (MultiSourceClassifier(folds=1), [OWN], 'folds is 1'), (classifier(ridge=0), [OWN], 'ridge is 0'),
    (classifier(LogisticRegression(), ridge=1.0), [OWN], 'leave ridge at None'), (classifier(other_classes='map'), [OWN], 'other_classes')])
def test_an_error_names_what_is_wrong(model, sources, message):
    with pytest.raises(ValueError, match=message):
        model.fit(*TARGET, sources)


def test_rows_of_other_classes_are_left_out():
    x, y = OWN
    ours = classifier(other_classes='drop', select=False).fit(*TARGET, [(x, np.where(y == 'ant', 'dog', y)), TURNED])
    assert ours.effective_sizes_[0] == pytest.approx(ours.weights_[0] * np.count_nonzero(y != 'ant'))


def test_both_estimators_share_one_base():
    assert issubclass(MultiSourceRegressor, MultiSource) and not hasattr(MultiSourceRegressor(), 'predict_proba')
    assert MultiSourceRegressor(LinearRegression()).fit(TARGET[0], TARGET[0][:, 0]).score(TARGET[0], TARGET[0][:, 0]) > 0.999
