"""Formats that users have: sparse .mat, svmlight of either numbering, CSV, .npy, .gz, pickled objects; and labels that run together."""
import gzip
import pickle

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from sections import load

from transfer_jax.experiment.data.formats import guard_read
from transfer_jax.experiment.data.tables import sparse as sparse_tables
from transfer_jax.experiment.data.tables.classes import rename, suggestion
from transfer_jax.runtime.errors import UserError

X, Y, D = np.arange(12.0).reshape(6, 2), np.array([0, 1] * 3), np.repeat(['p', 'q'], 3)
ROWS = '+1 {0}:1 {1}:2\n-1 {1}:3\n+1 {0}:4\n-1 {0}:5\n'


def assert_refused(path, *words, **keys):
    """The one line that load answers with; every word is in it."""
    with pytest.raises(UserError) as error:
        load(path, **keys)
    assert '\n' not in str(error.value) and [word for word in words if word not in str(error.value)] == [], str(error.value)


def assert_whole(domains, x=X):
    """X and Y of above, split by D."""
    assert domains.names == ('p', 'q') and domains.classes == ('0', '1')
    for name in domains.names:
        assert np.array_equal(domains[name].inputs, x[name == D]) and domains[name].labels.tolist() == Y[name == D].tolist()


def objects(values):
    """An array [n] of Python objects."""
    array = np.empty(len(values), object)
    array[:] = values
    return array


@pytest.mark.parametrize('sparse', [scipy.sparse.csr_matrix, scipy.sparse.csc_matrix])
def test_a_mat_file_may_be_sparse(tmp_path, sparse, monkeypatch):
    scipy.io.savemat(tmp_path / 'a.mat', {'x': sparse(X), 'y': sparse(Y[:, None]), 'd': D})
    assert_whole(load(tmp_path / 'a.mat'))
    monkeypatch.setattr(sparse_tables, 'MAX_BYTES', 20)
    assert_refused(tmp_path / 'a.mat', "domain 'p': row 0 has the feature 1", 'reduce the features first', 'keeps them sparse')


def test_an_svmlight_index_that_leaves_no_room_is_refused_with_its_row(tmp_path):
    (tmp_path / 'a.svm').write_text(ROWS.format(1, 2) + '+1 2000000000:1\n')
    (tmp_path / 'b.svm').write_text(ROWS.format(1, 2))
    assert_refused(tmp_path, 'a.svm: row 4 has the feature 2000000000', '2000000000 columns', 'correct that row')
    (tmp_path / 'a.svm').write_text('+1 99999999999999999999:1\n')
    assert_refused(tmp_path, 'a.svm cannot be read')


def test_svmlight_files_of_two_numberings_are_refused_unless_one_is_named(tmp_path):
    for name, numbers in (('a', (0, 1)), ('b', (1, 2))):
        (tmp_path / f'{name}.svm').write_text(ROWS.format(*numbers))
    assert_refused(tmp_path, 'a.svm numbers its features from 0', 'b.svm has no feature 0', "config.data.index_base to 'zero'")
    domains = load(tmp_path, index_base='zero')
    assert domains['a'].inputs.tolist() == [[1, 2, 0], [0, 3, 0], [4, 0, 0], [5, 0, 0]] and domains['b'].inputs[0].tolist() == [0, 1, 2]
    assert_refused(tmp_path, "config.data.index_base = 'one'", 'a.svm has a feature 0', index_base='one')
    (tmp_path / 'a.svm').write_text(ROWS.format(1, 2))
    for base in ('auto', 'one'):
        domains = load(tmp_path, index_base=base)
        assert np.array_equal(domains['a'].inputs, domains['b'].inputs) and domains['a'].inputs[0].tolist() == [1, 2]


@pytest.mark.parametrize('delimiter', [',', ';', '\t'])
def test_csv_plain_and_compressed(tmp_path, delimiter):
    lines = [delimiter.join(['x1', 'x2', 'y', 'd']), *(delimiter.join(map(str, (*x, y, d))) for x, y, d in zip(X, Y, D, strict=True))]
    text = '\n'.join(lines) + '\n'
    (tmp_path / 'a.csv').write_text(text)
    (tmp_path / 'b.csv.gz').write_bytes(gzip.compress(text.encode()))
    for name in ('a.csv', 'b.csv.gz'):
        assert_whole(load(tmp_path / name))
    assert_refused(tmp_path / 'a.csv', "no field 'q' (config.data.features)", 'None: every column of numbers', features='q')
    (tmp_path / 'a.csv').write_text(text.replace('5.0', ''))
    assert_refused(tmp_path / 'a.csv', 'row 2, feature 1')


def test_a_compressed_svmlight_file(tmp_path):
    for name in 'ab':
        (tmp_path / f'{name}.svm.gz').write_bytes(gzip.compress(ROWS.format(1, 2).encode()))
    assert load(tmp_path).names == ('a', 'b')
    (tmp_path / 'a.svm.gz').write_bytes(b'no gzip')
    assert_refused(tmp_path, 'a.svm.gz cannot be read')


def test_npy_files_beside_each_other_or_with_named_fields(tmp_path):
    for name, values in {'x': X, 'y': Y, 'd': D}.items():
        np.save(tmp_path / f'{name}.npy', values)
    assert_whole(load(tmp_path / 'x.npy'))
    assert_refused(tmp_path / 'y.npy', 'y.npy is one array', 'np.savez')
    folder = tmp_path / 'many'
    folder.mkdir()
    for name in ('p', 'q'):
        np.save(folder / f'{name}_x.npy', X[name == D])
        np.save(folder / f'{name}_y.npy', Y[name == D])
    assert_whole(load(folder))
    (folder / 'q_y.npy').unlink()
    assert_refused(folder, 'q_x.npy is one array', 'q_y.npy')
    np.save(tmp_path / 'fields.npy', np.array(list(zip(X, Y, D, strict=True)), [('x', float, 2), ('y', int), ('d', 'U1')]))
    assert_whole(load(tmp_path / 'fields.npy'))


def test_objects_that_are_texts_or_numbers_are_read_and_others_named(tmp_path):
    np.savez(tmp_path / 'a.npz', x=X.astype(object), y=objects(Y.tolist()), d=objects(D.tolist()))
    assert_whole(load(tmp_path / 'a.npz'))
    np.savez(tmp_path / 'a.npz', x=X, y=objects(['a', 1, 'b', 'a', 'b', 'a']), d=D)
    assert_refused(tmp_path / 'a.npz', "field 'y'", "entry 1 is 1 (int), entry 0 'a' (str)", 'astype(str)')
    np.savez(tmp_path / 'a.npz', x=np.array(scipy.sparse.csr_matrix(X), object), y=Y, d=D)
    assert_refused(tmp_path / 'a.npz', "field 'x'", 'scipy.sparse', 'toarray()')


def test_a_pickle_that_would_run_code_is_refused_before_it_does(tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path.joinpath('run').mkdir, ())

    np.save(tmp_path / 'x.npy', objects([Evil()]))
    np.save(tmp_path / 'y.npy', np.zeros(1))
    assert b'mkdir' in pickle.dumps(Evil())
    assert_refused(tmp_path / 'x.npy', 'x.npy holds Python objects')
    assert not (tmp_path / 'run').exists()


def test_labels_that_would_run_together_are_refused_and_large_integers_stay_apart(tmp_path):
    np.savez(tmp_path / 'a.npz', x=X, y=np.where(Y, 1e300, 0), d=D)
    assert_refused(tmp_path / 'a.npz', 'the label of row 1 is', '1e+300', 'as text')
    np.savez(tmp_path / 'a.npz', x=X, y=np.where(Y, 2**64 - 1, 2**64 - 2).astype(np.uint64), d=D)
    assert load(tmp_path / 'a.npz').classes == (str(2**64 - 2), str(2**64 - 1))


@pytest.mark.parametrize(('ours', 'theirs', 'offer'), [
    ([0, 1], [-1, 1], 'map:b/-1=0,b/1=1'), ([0, 1], [1, 2], 'map:b/1=0,b/2=1'), (['neg', 'pos'], ['neg', 'Pos'], 'map:b/Pos=pos')])
def test_classes_that_are_called_otherwise_are_offered_a_map_which_works(tmp_path, ours, theirs, offer):
    for name, kinds in (('a', ours), ('b', theirs)):
        np.savez(tmp_path / f'{name}.npz', x=X, y=np.array(kinds)[Y])
    offer = offer if offer != 'map:b/-1=0,b/1=1' else 'map:b/-1=0'
    assert_refused(tmp_path, f"config.data.classes='{offer}'", 'map:FILE')
    for classes in (offer, f'map:{tmp_path}/map.csv'):
        pairs = [entry.partition('=') for entry in offer.removeprefix('map:').split(',')]
        (tmp_path / 'map.csv').write_text('domain,label,class\n' + ''.join(f'b,{old[2:]},{new}\n' for old, _, new in pairs))
        domains = load(f'a={tmp_path}/a.npz,b={tmp_path}/b.npz', classes=classes)
        assert domains.classes == tuple(map(str, ours)) and domains['b'].labels.tolist() == Y.tolist()


def test_a_map_that_fits_nothing_is_refused(tmp_path):
    labels = {'a': np.array(['x', 'y'])}
    for spec, word in (('map:z=y', "'z', which is no label: a has x, y"), ('map:x=', "'x=' is not OLD=NEW"),
                       (f'map:{tmp_path}/none.csv', 'cannot be read')):
        with pytest.raises(UserError, match=word):
            rename(labels, spec)
    assert rename(labels, 'map:x=y')['a'].tolist() == ['y', 'y']
    assert 'map:FILE' in suggestion({'a': {'x': 1}, 'b': {'y': 1, 'z': 1}})


def test_a_compression_that_python_does_not_know_is_no_matlab_file(tmp_path):
    path = tmp_path / 'a.npz'
    np.savez(path, x=np.zeros((2, 3)), y=np.zeros(2))
    made = bytearray(path.read_bytes())
    made[made.index(b'PK\x01\x02') + 10] = 97  # the method, in the list of members
    path.write_bytes(made)
    with pytest.raises(UserError, match=r'a\.npz cannot be read \(.*compression'):
        guard_read(path, lambda: np.load(path)['x'])
