"""Errors of the scikit-learn face name the source, what is wrong with it, and what to do."""
import numpy as np
import pytest
import scipy.sparse
from faces import HOLED, MANY, OWN, TARGET, TURNED, classifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier

from transfer_jax.sklearn import MultiSourceClassifier, MultiSourceRegressor


@pytest.mark.parametrize(('model', 'sources', 'message'), [
    (classifier(), [(OWN[0][:, 1:], OWN[1])], 'source 0: .*5 features.*6 features'),
    (classifier(), {'zoo': (OWN[0], np.where(OWN[1] == 'ant', 'dog', OWN[1]))}, "zoo: 80 of 240 rows .*'dog'.*'ant', 'bee', 'cow'"),
    (classifier(), [OWN[0]], r'source 0: a source must be a pair \(X, y\)'), (classifier(), OWN, 'source 0: a source must be a pair'),
    (classifier(), OWN[0], 'sources is a sequence of pairs.*got ndarray'), (classifier(), None, 'sources is a sequence.*got NoneType'),
    (classifier(), [OWN, (HOLED, OWN[1])], 'source 1: 2 entries of X are NaN or infinite, the first in row 4, column 1'),
    (classifier(), [(scipy.sparse.csr_array(HOLED), OWN[1])], 'source 0: 2 entries of X are NaN or infinite, the first in row 4, column 1'),
    (classifier(HistGradientBoostingClassifier()), {'zoo': (scipy.sparse.csr_array(OWN[0]), OWN[1])}, 'zoo: Sparse data was passed'),
    (classifier(Ridge()), [OWN], 'estimator is Ridge, which is no classifier.*MultiSourceRegressor'),
    (classifier(KNeighborsClassifier()), [OWN], 'KNeighborsClassifier.fit takes no sample_weight'),
    (classifier(other_classes='drop'), [(OWN[0], np.repeat('dog', MANY))], 'source 0: no row has a class of the target'),
    (MultiSourceClassifier(folds=1), [OWN], 'folds is 1'), (classifier(ridge=0), [OWN], 'ridge is 0'),
    (classifier(), {1: OWN, '1': TURNED}, "sources has two of the name '1'"),
    (classifier(), [(OWN[0], np.where(OWN[1] == 'ant', np.nan, OWN[1].astype(object)))], 'source 0: y: Input contains NaN'),
    (classifier(), [(OWN[0], np.where(OWN[1] == 'ant', None, OWN[1].astype(object)))], r'source 0: 80 of 240 rows .*has not, \[None\]'),
    (classifier(ridge=np.inf), [OWN], 'ridge is inf'),
    (classifier(ridge='1'), [OWN], "ridge is '1'"), (classifier(ridge=True), [OWN], 'ridge is True'),
    (classifier(select='no'), [OWN], "select is 'no'; it must be True or False"),
    (classifier('lbfgs'), [OWN], "estimator is 'lbfgs'"),
    (classifier(LogisticRegression), [OWN], r'estimator is the class LogisticRegression.*LogisticRegression\(\)'),
    (classifier(LogisticRegression(), ridge=1.0), [OWN], 'leave ridge at None'), (classifier(other_classes='map'), [OWN], 'other_classes')])
def test_an_error_names_what_is_wrong(model, sources, message):
    with pytest.raises(ValueError, match=message):
        model.fit(*TARGET, sources)


def test_a_regressions_errors_name_the_source():
    y = TARGET[0][:, 0]
    with pytest.raises(ValueError, match='zoo: y: could not convert string'):
        MultiSourceRegressor().fit(TARGET[0], y, {'zoo': OWN})
    with pytest.raises(ValueError, match=r'zoo: y: Input.*NaN'):
        MultiSourceRegressor().fit(TARGET[0], y, {'zoo': (OWN[0], np.where(OWN[0][:, 0] > 0, np.nan, 1))})
    with pytest.raises(ValueError, match=r'estimator is LogisticRegression, which is no regressor.*MultiSourceClassifier'):
        MultiSourceRegressor(LogisticRegression()).fit(TARGET[0], y)


def test_a_column_that_decides_alone_is_named():
    wide = lambda pair: (pair[0] * np.array([1, 1, 1e6, 1, 1, 1]), pair[1])
    assert 'Column 2 has a spread' in classifier(select=False).fit(*wide(TARGET), [wide(OWN)]).notes_[0]
    sparse = lambda pair: (scipy.sparse.csr_array(wide(pair)[0]), pair[1])
    assert 'Column 2 has a spread' in classifier(select=False).fit(*sparse(TARGET), [sparse(OWN)]).notes_[0]


@pytest.mark.parametrize('change', [lambda x: 30 * x, lambda x: x / 30, lambda x: x + 40 * x.std(0)])
@pytest.mark.parametrize('kind', [np.asarray, scipy.sparse.csr_array])
def test_a_source_in_other_units_is_named(change, kind):
    pair = lambda part, change=np.asarray: (kind(change(part[0])), part[1])
    notes = classifier(select=False).fit(*pair(TARGET), {'zoo': pair(OWN, change), 'near': pair(OWN)}).notes_
    assert notes[0].startswith('zoo: its columns spread') and not any(note.startswith('near') for note in notes)


def test_the_last_fits_attributes_are_of_it_alone():
    model = classifier(select=False).fit(*TARGET, [OWN])
    assert not hasattr(model, 'estimator_') and hasattr(model, 'coef_')
    model.set_params(estimator=LogisticRegression()).fit(*TARGET, [OWN])
    assert hasattr(model, 'estimator_') and not {'coef_', 'intercept_', 'ridge_'} & vars(model).keys()
    assert not hasattr(model.set_params(estimator=None).fit(*TARGET, [OWN]), 'estimator_')


def test_rows_of_other_classes_are_left_out():
    x, y = OWN
    ours = classifier(other_classes='drop', select=False).fit(*TARGET, [(x, np.where(y == 'ant', 'dog', y)), TURNED])
    assert ours.effective_sizes_[0] == pytest.approx(ours.weights_[0] * np.count_nonzero(y != 'ant'))
