"""Array files, written by the libraries that own the formats, come back equal; real ones match their description."""
import pathlib

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import scipy.io
from sections import load
from sklearn.datasets import dump_svmlight_file

from transfer_jax.experiment.data.images import fit

REAL = pathlib.Path(__file__).parents[4] / '../shared/data'
rng = np.random.default_rng(0)
X = rng.normal(size=(12, 5)).astype(np.float32)
Y = np.tile([1, 2, 10], 4)  # sorted as text, 10 would come before 2
D = np.repeat([0, 1], 6)


def real(name):
    if not (REAL / name).exists():
        pytest.skip(f'no real data at ../shared/data/{name}')
    return REAL / name


def cells_of(arrays):
    """A MATLAB cell array [1, n]."""
    cells = np.empty((1, len(arrays)), object)
    for number, array in enumerate(arrays):
        cells[0, number] = array
    return cells


def assert_is(domain, inputs, labels):
    assert np.array_equal(domain.inputs, inputs) and domain.inputs.dtype == (np.uint8 if inputs.dtype == np.uint8 else np.float32)
    assert domain.labels.tolist() == list(labels) and domain.labels.dtype in (np.int32, np.float32)


def assert_whole(domains, names):
    """X, Y and D of above, split in two."""
    assert domains.names == names and domains.classes == ('1', '2', '10')
    for number, domain in enumerate(domains.domains):
        assert_is(domain, X[D == number], [0, 1, 2] * 2)


def test_an_npz_is_split_by_its_domains_and_other_fields_are_ignored(tmp_path):
    np.savez(tmp_path / 'a.npz', x=X, y=Y, d=D, more=np.zeros((3, 3)))
    assert_whole(load(tmp_path / 'a.npz'), ('0', '1'))
    np.savez(tmp_path / 'b.npz', f=X.astype(np.float64), t=Y.astype(np.uint8), who=D, domains=['p', 'o'])
    assert_whole(load(tmp_path / 'b.npz', features='f', labels='t', domain='who'), ('p', 'o'))


def test_names_in_the_file_keep_their_order(tmp_path):
    np.savez(tmp_path / 'a.npz', x=X, y=np.tile([0, 1], 6), d=np.array(['u', 'v'])[D], classes=['zebra', 'ant'])
    domains = load(tmp_path / 'a.npz')
    assert domains.names == ('u', 'v') and domains.classes == ('zebra', 'ant')
    assert domains['v'].labels.tolist() == [0, 1] * 3


@pytest.mark.parametrize('labels', [Y, Y[:, None], Y.astype(np.float64)[None], Y.astype(np.int8)])
def test_a_mat_file_of_any_shape_of_labels(tmp_path, labels):
    scipy.io.savemat(tmp_path / 'a.mat', {'x': X, 'y': labels, 'd': D.astype(np.float64)})
    assert_whole(load(tmp_path / 'a.mat'), ('0', '1'))


def test_text_of_a_mat_file(tmp_path):
    scipy.io.savemat(tmp_path / 'a.mat', {'x': X[:3], 'y': np.array(['cat', 'zebra', 'cat']), 'd': np.array(['p', 'p', 'p'])})
    domains = load(tmp_path / 'a.mat', tmp_path)
    assert domains.classes == ('cat', 'zebra') and domains.names == ('p',) and domains['p'].labels.tolist() == [0, 1, 0]


def test_cells_of_a_mat_file_are_tasks_in_their_order(tmp_path):
    sizes = [2 + k % 3 for k in range(11)]
    xs, ys = [np.full((n, 4), k, np.uint8) for k, n in enumerate(sizes)], [np.full((n, 1), k / 2) for k, n in enumerate(sizes)]
    scipy.io.savemat(tmp_path / 'a.mat', {'X': cells_of(xs), 'Y': cells_of(ys)})
    domains = load(tmp_path / 'a.mat', features='X', labels='Y', task='regression')
    assert domains.names == tuple(f'task {k:02}' for k in range(1, 12)) and domains.classes is None
    for domain, x, y in zip(domains.domains, xs, ys, strict=True):
        assert_is(domain, x.astype(np.float32), y.ravel())


def test_parquet_of_lists_of_a_prefix_or_of_all_that_is_numeric(tmp_path):
    columns = {f'x{k}': X[:, k] for k in range(5)}
    names = np.array(['p', 'q'])[D]
    pa.parquet.write_table(pa.table({'x': X.tolist(), 'y': Y, 'd': names}), tmp_path / 'lists.parquet')
    pa.parquet.write_table(pa.table({**columns, 'other': Y, 'y': Y, 'd': names}), tmp_path / 'prefix.parquet')
    pa.parquet.write_table(pa.table({**columns, 'note': names, 'y': Y, 'd': names}), tmp_path / 'all.parquet')
    for name, features in (('lists', 'x'), ('prefix', 'x'), ('all', None)):
        assert_whole(load(tmp_path / f'{name}.parquet', features=features), ('p', 'q'))


def test_svmlight_files_share_their_width(tmp_path):
    few = np.where(np.arange(5) < 3, X, 0).astype(np.float32)
    dump_svmlight_file(X[:6], Y[:6], str(tmp_path / 'one.svm'), zero_based=False)
    dump_svmlight_file(few[6:], Y[6:], str(tmp_path / 'two.txt'), zero_based=False)
    (tmp_path / '.hidden').write_text('')
    domains = load(f'one={tmp_path}/one.svm,two={tmp_path}/two.txt')
    assert_is(domains['one'], X[:6], [0, 1, 2] * 2)
    assert_is(domains['two'], few[6:], [0, 1, 2] * 2)


def test_a_folder_of_files_is_a_domain_each_and_a_note_beside_them_is_listed(tmp_path):
    for number, name in enumerate(('q', 'p')):
        scipy.io.savemat(tmp_path / f'{name}.mat', {'x': X[D == number], 'y': Y[D == number]})
    (tmp_path / 'README.txt').write_text('read me')
    domains = load(tmp_path)
    assert domains.names == ('p', 'q') and domains.skipped == ({'file': str(tmp_path / 'README.txt'), 'reason': 'no array file'},)
    assert_is(domains['q'], X[D == 0], [0, 1, 2] * 2)


def test_digits_five_as_its_mat_files_lie_in_a_folder(tmp_path):
    images = lambda n, *shape: rng.integers(0, 256, (n, *shape), dtype=np.uint8)
    digits = np.arange(10)
    colour, wide, grey = images(20, 28, 28, 3), images(20, 32, 32, 3), images(20, 28, 28)
    column = digits[:, None]
    codes = {f'label_{split}': np.eye(10) for split in ('train', 'test')}
    usps = np.empty((2, 2), object)
    for row in range(2):
        usps[row, 0], usps[row, 1] = grey[10 * row:][:10, None] / 255, column
    save_file = {'mnist_data': {'train_28': grey[:10, ..., None], 'test_28': grey[10:, ..., None], 'train_32': wide, **codes},
               'mnistm_with_label': {'train': colour[:10], 'test': colour[10:], **codes},
               'svhn_train_32x32': {'X': np.moveaxis(wide[:10], 0, 3), 'y': np.array([10, *digits[1:]])[:, None]},
               'svhn_test_32x32': {'X': np.moveaxis(wide[10:], 0, 3), 'y': np.array([10, *digits[1:]])[:, None]},
               'syn_number': {'train_data': wide[:10], 'test_data': wide[10:], 'train_label': column, 'test_label': column},
               'usps_28x28': {'dataset': usps}}
    for stem, fields in save_file.items():
        scipy.io.savemat(tmp_path / f'{stem}.mat', fields)
    domains = load(tmp_path, image_size=28, channels=1)
    assert domains.names == ('mnist', 'mnistm', 'svhn', 'syn', 'usps') and domains.classes == tuple('0123456789')
    for name, expected in (('mnist', grey[..., None]), ('mnistm', colour), ('svhn', wide), ('syn', wide), ('usps', grey[..., None])):
        assert_is(domains[name], np.stack([fit(image, 28, 1) for image in expected]), [*digits, *digits])


def test_labels_are_numbered_over_all_domains(tmp_path):
    for name, labels in (('a', ['cat', 'dog']), ('b', ['dog', 'emu'])):
        np.savez(tmp_path / f'{name}.npz', x=X[:2], y=labels)
    union, common = (load(tmp_path, classes=rule) for rule in ('union', 'intersection'))
    assert union.classes == ('cat', 'dog', 'emu') and union['b'].labels.tolist() == [1, 2] and union.skipped == ()
    assert common.classes == ('dog',) and np.array_equal(common['a'].inputs, X[1:2])
    assert common.skipped == ({'file': 'a', 'reason': "class 'cat' (1 example) is not in every domain"},
                              {'file': 'b', 'reason': "class 'emu' (1 example) is not in every domain"})


@pytest.mark.parametrize('shape', [(6, 9, 7), (6, 9, 7, 1), (6, 9, 7, 3)])
def test_uint8_images_stay_so_and_are_fitted_as_opencv_would(tmp_path, shape):
    images = rng.integers(0, 256, shape, dtype=np.uint8)
    np.savez(tmp_path / 'a.npz', x=images, y=[0, 1] * 3)
    assert_is(load(tmp_path / 'a.npz', domain=None).domains[0], images.reshape(6, 9, 7, -1), [0, 1] * 3)
    small = load(tmp_path / 'a.npz', domain=None, image_size=4, channels=3).domains[0].inputs
    whole = cv2.resize(images[2], (4, 5), interpolation=cv2.INTER_AREA).reshape(5, 4, -1)
    assert small.shape == (6, 4, 4, 3) and np.array_equal(small[2], np.broadcast_to(whole[:4], (4, 4, 3)))


def test_fit_takes_the_middle_of_the_long_side_and_weighs_colours_as_luma():
    stripes = np.zeros((2, 6, 3), np.uint8)
    stripes[:, 2:4] = (200, 100, 50)
    assert (fit(stripes, 2, 3) == (200, 100, 50)).all()
    assert (fit(stripes, 2, 1) == round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)).all()
    assert fit(stripes, 4, 1).shape == (4, 4, 1) and fit(stripes, None, None) is stripes


def test_a_draw_of_a_large_domain_is_stratified_repeatable_and_noted(tmp_path):
    np.savez(tmp_path / 'a.npz', x=np.arange(400.0)[:, None], y=np.repeat([0, 1], [300, 100]))
    once, again = (load(tmp_path / 'a.npz', domain=None, max_per_domain=40) for _ in range(2))
    assert np.bincount(once['a'].labels).tolist() == [30, 10] and np.array_equal(once['a'].inputs, again['a'].inputs)
    assert np.array_equal(once['a'].labels, once['a'].inputs[:, 0] >= 300)
    assert once.skipped == ({'file': 'a', 'reason': 'config.data.max_per_domain = 40 of 400 examples used'},)


def test_real_digits():
    domains = load(real('digits4/digits4_16x16.npz'))
    assert [(d.name, len(d)) for d in domains.domains] == [('mnist', 10000), ('usps', 1800), ('semeion', 1593), ('optdigits', 5620)]
    assert domains.classes == tuple('0123456789') and domains['usps'].inputs.shape[1:] == (16, 16, 1)


def test_real_features_with_labels_from_one():
    domains = load(real('office_caltech10/surf800'), features='fts', labels='labels')
    assert [(d.name, len(d)) for d in domains.domains] == [('amazon', 958), ('caltech10', 1123), ('dslr', 157), ('webcam', 295)]
    assert domains.classes == tuple(map(str, range(1, 11)))
    assert all(set(d.labels.tolist()) == set(range(10)) and d.inputs.shape[1:] == (800,) for d in domains.domains)


def test_real_pictures_of_seven_classes():
    domains = load(real('pacs/pacs_64.npz'), max_per_domain=50, image_size=32)
    assert domains.classes == ('dog', 'elephant', 'giraffe', 'guitar', 'horse', 'house', 'person')
    assert all(d.inputs.shape == (50, 32, 32, 3) for d in domains.domains) and len(domains.domains) == 4


def test_real_tasks_of_a_regression():
    domains = load(real('school/school.mat'), features='X', labels='Y', task='regression')
    assert len(domains.domains) == 139 and domains.names[0] == 'task 001' and sum(map(len, domains.domains)) == 15362
    assert all(d.inputs.shape[1:] == (28,) and d.labels.dtype == np.float32 for d in domains.domains)
