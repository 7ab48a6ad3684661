"""Weights of the scikit-learn face have the symmetries of the problem, and folds change them as in the transfer job."""
import numpy as np
import pytest
import scipy.sparse
from faces import CLASSES, FEW, MANY, MOST, NAMES, OWN, SOURCES, TARGET, TEST, TURNED, classifier, draw, together
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from transfer_jax.sklearn.data import make_data
from transfer_jax.sklearn.learner import CLIP
from transfer_jax.sklearn.linear import make_linear
from transfer_jax.sklearn.selection import Selection
from transfer_jax.sklearn.transfer import doubts
from transfer_jax.sklearn.wrapped import make_wrapped


@pytest.fixture(scope='module')
def fitted():
    return classifier(select=False).fit(*TARGET, SOURCES)


def test_the_targets_own_law_weighs_most_and_wrong_names_nothing(fitted):
    assert fitted.weights_[0] == pytest.approx(MOST, rel=0.05) and fitted.weights_[1] < 0.05 and fitted.choice_ == 'UOWQ'
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


def test_weights_are_the_average_of_candidates_by_their_evidence_or_none(fitted):
    for sources in (SOURCES, {'turned': TURNED, 'again': draw(MANY, 5, turn=1)}, {'own': OWN, 'more': draw(MANY, 6)}):
        ours = classifier().fit(*TARGET, sources)
        results = ours.cv_results_
        probability, size = results['probability'], len(TARGET[0])
        assert probability.sum() == pytest.approx(1) and results['candidate'][probability.argmax()] == ours.choice_
        assert results['rank_test_score'].min() == 1
        if results['mean_test_score'][:3].argmax() == 2:
            assert probability[2] == 1 and not ours.weights_.any() and ours.choice_ == 'target only'
        shares = [probability @ (weight * MANY / (size + results['weights'].sum(1) * MANY)) for weight in results['weights'].T]
        np.testing.assert_allclose(ours.effective_sizes_ / (size + ours.effective_sizes_.sum()), shares, rtol=1e-6, atol=1e-12)
        np.testing.assert_allclose(results['weights'][:5], ours.plan_.weights * np.array([1, 0.25, 0, 4, 16])[:, None])
        if 'turned' in sources and 'again' in sources:
            assert ours.weights_.max() < 0.1 and ours.score(*TEST) > LogisticRegression().fit(*together(TARGET, TURNED)).score(*TEST)
    np.testing.assert_allclose(classifier().fit(*TARGET, SOURCES).plan_.weights, fitted.weights_)


@pytest.mark.parametrize(('probability', 'weight', 'word'), [((0.3, 0.3, 0.4), 0.1, 'average'), ((0.0, 0.0, 1.0), 0.0, 'safe')])
def test_the_note_on_no_source_is_not_of_weights_above_0(probability, weight, word):
    made = Selection(('UOWQ', 'UOWQ x 0.25', 'target only'), np.array([[0.4], [0.1], [0]]), np.ones((3, 8)), np.arange(8) % 2,
                     np.array(probability), np.array([weight]))
    note, = doubts(made, True)
    assert word in note and ('favour no source' in note) == (weight == 0)


def test_gains_of_candidates_are_by_hand():
    """Two folds of four rows; the ridge is given, so what is tried on a fold is scikit-learn's fit with the fold's own weights."""
    x, y = TARGET[0][:12], np.searchsorted(NAMES, TARGET[1][:12])
    data = make_data([x, OWN[0]], [y, np.searchsorted(NAMES, OWN[1])], CLASSES, 2, None)
    linear = make_linear(data, 1.0)
    outputs = linear.trials(data, np.array([[[0.0], [0.0]], [[0.5], [0.1]]]))
    for number, weights in enumerate([(0, 0), (0.5, 0.1)]):
        for fold, weight in enumerate(weights):
            own = np.concatenate([data.without(fold), np.full(MANY, float(weight))])
            model = LogisticRegression(tol=1e-8, max_iter=1000).fit(np.concatenate([x, OWN[0]]), np.concatenate(data.y), own)
            ours = log_softmax(outputs[number, data.fold == fold], -1)
            np.testing.assert_allclose(ours, model.predict_log_proba(x[data.fold == fold]), atol=2e-2)


@pytest.mark.parametrize('estimator', [LogisticRegression(), LinearSVC()])
def test_an_estimators_outputs_on_folds_are_log_probabilities(estimator):
    """Or those of the predicted class alone, where it has none: then only the number of right rows counts."""
    numbers = [np.searchsorted(NAMES, y) for _, y in (TARGET, OWN)]
    data = make_data([TARGET[0], OWN[0]], numbers, CLASSES, 2, None, False)
    outputs = make_wrapped(estimator, np.arange(CLASSES), None, True).trials(data, np.array([[[0.3], [0.3]]]))[0]
    for fold in range(2):
        own = np.concatenate([data.without(fold), np.full(MANY, 0.3)])
        model = clone(estimator).fit(np.concatenate([TARGET[0], OWN[0]])[own > 0], np.concatenate(numbers)[own > 0], own[own > 0])
        left = TARGET[0][data.fold == fold]
        if hasattr(model, 'predict_proba'):
            np.testing.assert_allclose(outputs[data.fold == fold], np.log(np.maximum(model.predict_proba(left), CLIP)), atol=1e-6)
        else:
            assert (outputs[data.fold == fold].argmax(1) == model.predict(left)).all()
    if isinstance(estimator, LinearSVC):
        np.testing.assert_allclose(np.unique(outputs), [np.log(CLIP), 0])


@pytest.mark.parametrize('sources', [1, 2])
def test_sources_of_the_targets_law_are_worth_four_targets_at_most(sources):
    """G + 1 / (4 N0) in every entry: sum u <= 4 N0, and the same rows twice are worth what they are once."""
    many = draw(4000, 8)
    ours = classifier(select=False).fit(*TARGET, [many] * sources)
    assert FEW < ours.worth_ <= 4 * FEW + 1e-6


def test_sparse_rows_are_dense_ones(fitted):
    sparse = lambda pair: (scipy.sparse.csr_array(pair[0]), pair[1])
    ours = classifier(select=False).fit(*sparse(TARGET), {name: sparse(pair) for name, pair in SOURCES.items()})
    assert ours.ridge_ == pytest.approx(fitted.ridge_)
    np.testing.assert_allclose(ours.weights_, fitted.weights_, rtol=1e-2)
    np.testing.assert_allclose(ours.predict_proba(sparse(TEST)[0]), fitted.predict_proba(TEST[0]), atol=2e-3)


def test_one_label_a_class_has_no_folds_and_says_so():
    ours = classifier().fit(TARGET[0][:3], TARGET[1][:3], SOURCES)
    assert ours.choice_ == 'UOWQ' and ours.cv_results_ is None and 'one label' in ours.notes_[0]


def test_a_random_state_alone_makes_folds_random(fitted):
    again = classifier(select=False).fit(*TARGET, SOURCES)
    np.testing.assert_array_equal(again.weights_, fitted.weights_)
    one, other = (classifier(select=False, random_state=seed).fit(*TARGET, SOURCES).weights_ for seed in (0, 0))
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, fitted.weights_)
