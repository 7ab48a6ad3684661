"""What a user can get wrong about domains: one line each, with the file, the field and the value in it."""
import struct

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import scipy.io
from sections import load

from transfer_jax.experiment.data import decode
from transfer_jax.experiment.data.domains import Domain, Domains
from transfer_jax.runtime.errors import UserError

X, Y, D = np.arange(12.0).reshape(6, 2), np.array([0, 1] * 3), np.repeat(['p', 'q'], 3)
GOOD = {'x': X, 'y': Y, 'd': D}


def assert_refused(path, *words, **keys):
    """The one line that load answers with; every word is in it."""
    with pytest.raises(UserError) as error:
        load(path, **keys)
    assert '\n' not in str(error.value) and [word for word in words if word not in str(error.value)] == [], str(error.value)


@pytest.fixture
def npz(tmp_path):
    def write(**changed):
        np.savez(tmp_path / 'a.npz', **{name: value for name, value in {**GOOD, **changed}.items() if value is not None})
        return tmp_path / 'a.npz'
    return write


@pytest.mark.parametrize(('changed', 'words', 'keys'), [
    ({'x': None}, ["a.npz has no field 'x' (config.data.features); it has y, d"], {}),
    ({'y': None}, ["no field 'y' (config.data.labels); it has x, d"], {}),
    ({'d': None}, ["no field 'd' (config.data.domain); it has x, y", 'None where a file is one domain'], {}),
    ({'x': np.where(X == 7, np.nan, X)}, ['a.npz: 1 row holds NaN or infinity, first row 3, feature 1'], {}),
    ({'x': np.where(X == 2, np.inf, X)}, ['a.npz', 'row 1, feature 0'], {'task': 'regression'}),
    ({'x': X[:5]}, ['a.npz: 5 rows of features for 6 labels'], {}),
    ({'d': D[:5]}, ['a.npz: d has 5 rows, y has 6'], {}),
    ({'x': X.reshape(3, 2, 2).astype(np.float32)}, ['a.npz: features are float32[3, 2, 2]', 'images as uint8'], {}),
    ({'x': np.zeros((6, 3, 8, 8), np.uint8)}, ['features are uint8[6, 3, 8, 8]'], {}),
    ({'x': X.astype(str)}, ['features are <U'], {}),
    ({'y': np.eye(6)}, ['labels are float64[6, 6]; there must be one for each row (of one-hot ones: y.argmax(1))'], {}),
    ({'y': Y / 2}, ["the label of row 1 is 0.5", "task 'regression'"], {}),
    ({'y': np.array([0, 1, np.nan, 0, 1, 0])}, ['the label of row 2 is missing or NaN'], {}),
    ({'y': np.array([0, 1, 2, np.inf, 1, 0])}, ['the label of row 3'], {'task': 'regression'}),
    ({'y': Y.astype(str)}, ['labels are <U', "'0'", 'a regression wants numbers'], {'task': 'regression'}),
    ({'classes': ['cat']}, ['a.npz: the label of row 1 is 1; its classes are numbered 0 to 0'], {}),
    ({'y': Y - 1, 'classes': ['cat', 'dog']}, ['the label of row 0 is -1; its classes are numbered 0 to 1'], {}),
    ({'d': [0, 1, 2, 0, 0, 1], 'domains': ['p', 'q']}, ['the domain of row 2 is 2; its domains are numbered 0 to 1'], {}),
    ({'d': [0, 1, 1, 0, 0, 1], 'domains': ['p', 'q', 'r']}, ["domain 'r' is empty"], {}),
    ({'x': X[:0], 'y': Y[:0], 'd': D[:0]}, ['a.npz is empty'], {}),
    ({'y': np.array([0, 1, 0, 0, 1, 2])}, ["domain 'p' has no class '2'", 'config.data.classes'], {}),
    ({'y': np.array([0, 0, 0, 1, 1, 1])}, ['no class is in every domain', "domain 'q' has no class '0'"], {'classes': 'intersection'}),
    ({'x': np.array([None] * 6)}, ["a.npz, field 'x' holds Python objects", 'entry 0 is None'], {}),
])
def test_fields_of_a_file(npz, changed, words, keys):
    assert_refused(npz(**changed), *words, **keys)


def test_classes_that_only_one_of_several_sources_has(tmp_path):
    for name, kinds in (('sketch', 'zebr'), ('real', 'zebra'), ('clipart', 'zebra')):
        np.savez(tmp_path / f'{name}.npz', x=X[:2], y=['ant', kinds])
    assert_refused(tmp_path, "domain 'sketch' has the class 'zebr' that no other has", "domain 'sketch' has no class 'zebra'")


def test_files_of_another_format_than_their_names(tmp_path):
    for suffix in ('npz', 'mat', 'parquet', 'svm'):
        path = tmp_path / f'a.{suffix}'
        path.write_text('this is no array file')
        assert_refused(path, f'a.{suffix} cannot be read', 'restore it')
    np.savez(tmp_path / 'a.npz', **GOOD)
    (tmp_path / 'a.npz').write_bytes((tmp_path / 'a.npz').read_bytes()[:200])
    assert_refused(tmp_path / 'a.npz', 'a.npz cannot be read')


def test_the_message_about_a_matlab_7_3_file_says_how_to_convert_it(tmp_path):
    header = b'MATLAB 7.3 MAT-file, Platform: GLNXA64'.ljust(124) + struct.pack('<H', 0x0200) + b'IM'
    (tmp_path / 'a.mat').write_bytes(header + bytes(400))
    assert_refused(tmp_path / 'a.mat', 'a.mat is a MATLAB 7.3 file', "'-v7'")


def test_parquet_with_ragged_or_missing_features(tmp_path):
    path = tmp_path / 'a.parquet'
    pa.parquet.write_table(pa.table({'x': [[1.0, 2.0], [3.0], [4.0, 5.0]], 'y': [0, 1, 0]}), path)
    assert_refused(path, 'a.parquet: row 1 has 1 feature, row 0 has 2', domain=None)
    pa.parquet.write_table(pa.table({'x1': [1.0, None, 2.0], 'y': [0, 1, 0]}), path)
    assert_refused(path, 'a.parquet: 1 row holds NaN or infinity, first row 1, feature 0', domain=None)
    assert_refused(path, "no field 'q' (config.data.features); it has x1, y", domain=None, features='q')
    pa.parquet.write_table(pa.table({'x': [1.0, 2.0], 'y': ['a', None]}), path)
    assert_refused(path, 'a.parquet: the label of row 1 is missing', domain=None)


def test_paths(tmp_path):
    np.savez(tmp_path / 'a.npz', **GOOD)
    (tmp_path / 'table.xls').write_text('1,2')
    (tmp_path / 'empty').mkdir()
    assert_refused(tmp_path / 'none', 'config.data.path: there is no file or folder', 'none')
    assert_refused(tmp_path / 'table.xls', "table.xls has the extension '.xls'; array files are .npz, .mat")
    assert_refused(tmp_path / 'empty', 'empty', 'holds no folders of images and no array files')
    assert_refused(f'a={tmp_path}/a.npz,b', "'b' is not name=path")
    assert_refused(f'a={tmp_path}/a.npz,a={tmp_path}/a.npz', "names 'a' twice")
    assert_refused(f'a={tmp_path}/a.npz,b={tmp_path}/empty', 'names files and folders')
    assert_refused(f'a={tmp_path}/a.npz', "a.npz has a field 'd' (config.data.domain), and of several files each is one domain")
    assert_refused(tmp_path / 'a.npz', "config.data.format = 'folders'", 'names array files', format='folders')
    assert_refused(tmp_path / 'a.npz', "config.data.image_size = 'big'; allowed: an integer, at least 1, or None", image_size='big')
    assert_refused(tmp_path / 'a.npz', 'config.data.channels = 2; allowed: 1 or 3, or None', channels=2)
    assert_refused(tmp_path / 'a.npz', 'config.data.colour = 1: there is no such key', colour=1)


def test_domains_that_do_not_go_together(tmp_path):
    for name, width in (('a', 2), ('b', 3)):
        np.savez(tmp_path / f'{name}.npz', x=np.ones((4, width)), y=[0, 1] * 2)
    assert_refused(tmp_path, "domain 'b' has inputs of shape (3,), domain 'a' of (2,)")
    with pytest.raises(UserError, match="there is no domain 'c'; there are a"):
        load(f'a={tmp_path}/a.npz')['c']
    (tmp_path / 'a.mat').touch()
    assert_refused(tmp_path, "two files of the name 'a'")


def test_domains_refuse_bad_values():
    domain = lambda **changed: Domain(**{'name': 'a', 'inputs': np.ones((2, 3), np.float32), 'labels': np.array([0, 1])} | changed)
    for bad, word in ((domain(labels=np.array([0, 2])), 'the label of row 1 is 2; 2 classes are numbered 0 to 1'),
                      (domain(inputs=np.full((2, 3), np.nan, np.float32)), '2 rows hold NaN'), (domain(labels=np.zeros(0)), 'is empty')):
        with pytest.raises(UserError, match=word):
            Domains(domains=(bad,), classes=('x', 'y'))


def test_cells_that_do_not_fit(tmp_path):
    cells = np.empty((1, 2), object)
    cells[0] = np.ones((3, 2)), np.ones((4, 2))
    keys = {'features': 'X', 'labels': 'Y', 'task': 'regression'}
    scipy.io.savemat(tmp_path / 'a.mat', {'X': cells, 'Y': np.ones(2)})
    assert_refused(tmp_path / 'a.mat', 'features are 2 cells and labels 2; give each task a cell in both', **keys)
    labels = cells.copy()
    labels[0] = np.ones((3, 1)), np.ones((3, 1))
    scipy.io.savemat(tmp_path / 'a.mat', {'X': cells, 'Y': labels})
    assert_refused(tmp_path / 'a.mat', 'a.mat, task 2: 4 rows of features for 3 labels', **keys)
    assert_refused(f'one={tmp_path}/a.mat', 'holds 2 cells, and each is a domain', **keys)


@pytest.fixture
def tree(tmp_path):
    """Two domains of two classes of four images."""
    for domain in 'ab':
        for kind in ('cat', 'dog'):
            (tmp_path / 'data' / domain / kind).mkdir(parents=True)
            for k in range(4):
                cv2.imwrite(str(tmp_path / 'data' / domain / kind / f'{k}.png'), np.full((6, 6, 3), 20 * k, np.uint8))
    return tmp_path / 'data'


def test_images_that_cannot_be_read(tree, tmp_path):
    keys = {'image_size': 4, 'channels': 3, 'cache': str(tmp_path / 'cache')}
    for k in range(2):
        (tree / 'b' / 'dog' / f'{k}.png').write_text('no image')
    assert_refused(tree, "domain 'b': 1 or more of 8 images cannot be read", 'max_skipped_fraction = 0.1', 'dog/0.png: no image', **keys)
    allowed = load(tree, max_skipped_fraction=0.25, **keys)
    assert len(allowed['b']) == 6 and len(allowed.skipped) == 2
    assert_refused(tree, "domain 'b': 2 or more of 8", **keys)  # out of the cache as well
    for path in (tree / 'a').rglob('*.png'):
        path.write_bytes(b'')
    assert_refused(tree, "domain 'a': none of its 8 images can be read", 'empty', **keys | {'max_skipped_fraction': 1.0})


def test_array_files_among_folders_are_told_from_images(tmp_path):
    for name in 'ab':
        (tmp_path / 'each' / name).mkdir(parents=True)
        (tmp_path / 'each' / name / 'data.csv').write_text('label,u\n0,1\n1,2\n')
    assert_refused(tmp_path / 'each', 'each domain is a folder with an array file in it',
                   f'config.data.path=a={tmp_path}/each/a/data.csv,b={tmp_path}/each/b/data.csv')
    for name in 'ab':
        (tmp_path / 'each' / f'{name}.csv').write_text('label,u\n0,1\n1,2\n')
        (tmp_path / 'each' / name / 'notes').mkdir()
    assert_refused(tmp_path / 'each', 'to read a.csv and the like: config.data.format=arrays')
    assert len(load(tmp_path / 'each', format='arrays', labels='label', features=None).domains) == 2


def test_folders_of_images(tree, tmp_path, monkeypatch):
    keys = {'image_size': 4, 'channels': 3, 'cache': str(tmp_path / 'cache')}
    assert_refused(tree, 'config.data.image_size = None; image files need one', channels=3)
    assert_refused(tree, 'config.data.channels = None', image_size=4)
    assert_refused(tree, "config.data.task = 'regression', and folders of images have classes", task='regression', **keys)
    assert_refused(f'a={tree}/a', "config.data.format = 'arrays'", 'names folders of images', format='arrays', **keys)
    assert_refused(tree / 'a', "domain 'cat': ", 'holds no folders of classes with images in them', **keys)
    (tree / 'empty').mkdir()
    assert_refused(tree, "domain 'empty': ", 'holds no folders of classes', **keys)
    (tree / 'empty').rmdir()
    monkeypatch.setattr(decode.shutil, 'disk_usage', lambda path: type('Usage', (), {'free': 100}))
    assert_refused(tree, '8 decoded images of 4 x 4 take 0.0 GB', 'config.data.cache', **keys)
    monkeypatch.undo()
    (tmp_path / 'file').touch()
    assert_refused(tree, 'file', 'exists', **keys | {'cache': str(tmp_path / 'file')})


@pytest.mark.parametrize(('lines', 'words'), [
    ('a/cat/0.png 0\na/dog/0.png 0\n', ["a_train.txt:2: label 0 is the class 'cat' and the class 'dog'"]),
    ('a/cat/0.png 0\nnonsense\n', ["a_train.txt:2: 'nonsense' is not 'FILE LABEL'"]),
    ('b/cat/0.png 0\n', ["a_train.txt:1: 'b/cat/0.png' is not a/CLASS/FILE"]),
    ('/etc/x 0\n', ["a_train.txt:1: '/etc/x' is not a/CLASS/FILE"]),
    ('a/cat/0.png 0\na/dog/9.png 1\n', ["domain 'a': 1 or more of 2 images cannot be read", '9.png: No such file']),
])
def test_lists_that_are_wrong(tree, tmp_path, lines, words):
    (tree / 'a_train.txt').write_text(lines)
    assert_refused(tree, *words, image_size=4, channels=3, cache=str(tmp_path / 'cache'))
