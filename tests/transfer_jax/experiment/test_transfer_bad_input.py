"""What a user can get wrong about a transfer job: one line that names it, before anything is trained."""
import pathlib
import shutil

import numpy as np
import pytest
import transfer_job
from state_dicts import saved, timm_vit

from transfer_jax.experiment.job import folder_of
from transfer_jax.experiment.lab.lab import Lab
from transfer_jax.runtime.errors import UserError

GOOD = transfer_job.table()
METHODS = 'transfer.methods'


@pytest.fixture(autouse=True)
def no_training(monkeypatch):
    """Whatever would be trained fails otherwise than by a UserError."""
    def fit(*arguments, **keys):
        raise AssertionError('it trains')
    monkeypatch.setattr(Lab, 'fit', fit)


@pytest.fixture
def says(tmp_path):
    """says(words, changes): the job with these changes answers with one line that has all the words, and leaves no fits."""
    def says(*words, devices=1, **changes):
        with pytest.raises(UserError) as error:
            transfer_job.run(tmp_path / 'run', devices, **changes)
        assert '\n' not in str(error.value) and [word for word in words if word not in str(error.value)] == [], str(error.value)
        assert not (tmp_path / 'run/targets').exists() and not (tmp_path / 'run/results.json').exists()
    return says


def write_data(path, **edits):
    """The path of an .npz with three good domains, but for these fields."""
    np.savez(path, **{**GOOD, **edits})
    return path


@pytest.fixture
def npz(tmp_path):
    return write_data(tmp_path / 'domains.npz')


def test_the_data_of_these_tests_would_train(npz, tmp_path):
    with pytest.raises(AssertionError, match='it trains'):
        transfer_job.run(tmp_path / 'run', **{'data.path': npz})


@pytest.mark.parametrize(('changes', 'words'), [
    ({METHODS: "('target_only','uowk')"}, ["config.transfer.methods = ('target_only', 'uowk')", 'uowq']),
    ({METHODS: "('uowq','uowq')"}, ['config.transfer.methods names a method twice: uowq, uowq']),
    ({METHODS: '()'}, ['config.transfer.methods = ()']),
    ({METHODS: "('single_source',)", 'data.validation': 0}, ["'single_source'", 'config.data.validation = 0']),
    ({METHODS: "('cv_global',)", 'transfer.folds': 0}, ['cv_global is left out: it chooses on folds', 'config.transfer.folds = 0']),
    ({'transfer.metrics': "('auc',)", 'data.task': 'regression', 'data.path': 'nowhere', METHODS: "('uowq',)"},
     ["config.transfer.metrics: 'auc' is a score of a classification, and this is a regression; take of explained_variance, rmse, mae"]),
    ({'transfer.metrics': "('rmse',)"}, ["'rmse' is a score of a regression", 'take of accuracy, balanced_accuracy, auc']),
    ({'transfer.metrics': "('roc',)"}, ["config.transfer.metrics = ('roc',)", 'auc']),
    ({'train.solver': 'exact', 'model.kind': 'mlp', 'model.hidden': '(4,)'}, ['config.train.solver = "exact"', "the model is 'mlp'"]),
    ({'train.solver': 'exact', METHODS: "('otqms_under',)"}, ['otqms_under is left out', 'config.transfer.methods']),
    ({METHODS: "('mcw',)", 'data.task': 'regression'}, ['mcw is left out: it needs classes', 'config.data.task']),
    ({'targets': "('a','z')"}, ["config.targets: there is no domain 'z'; the data have a, b, c"]),
    ({'sources': "('z',)"}, ["config.sources: there is no domain 'z'"]),
    ({'targets': "('a','a')"}, ['config.targets names a domain twice: a, a']),
    ({'sources': "('b','c','b')"}, ['config.sources names a domain twice: b, c, b']),
    ({'targets': "('a',)", 'sources': "('a',)"}, ["config.sources: the target 'a' has no source but itself"]),
    ({'transfer.costs': "{'z': 2.0}"}, ["config.transfer.costs: there is no domain 'z'"]),
    ({'transfer.costs': "{'b': 0}"}, ['config.transfer.costs', '{source: a number, above 0}']),
    ({'data.shots': 7}, ["target 'a': class '0' of the target has 6 examples, and 7 to train on", 'config.data.shots']),
    ({'data.shots': 3, 'data.validation': 3}, ["target 'a': the target has 12 examples", 'none is left to test on']),
    ({'data.path': 'nowhere/at/all'}, ["config.data.path: there is no file or folder 'nowhere/at/all'"]),
    ({'data.augment': 'crop'}, ["config.data.augment = 'crop'", 'images']),
    ({'data.mean': '(0.5,)'}, ['config.data.mean', 'images']),
    ({'data.image_size': 8}, ["config.data.image_size = 8 is for images, and domain 'a' has features; set it to None"]),
    ({'data.channels': 3}, ["config.data.channels = 3 is for images, and domain 'a' has features; set it to None"]),
    ({'train.epoch': 3}, ['config.train.epoch', 'did you mean config.train.epochs?']),
    ({'train.rate': 0.1}, ['config.train.rate was renamed: write config.train.learning_rate']),
    ({'train.lanes': 2}, ['config.train.lanes was renamed: write config.train.replicas']),
    ({'train.learning_rate': 'fast'}, ["config.train.learning_rate = 'fast'; allowed: a number"]),
    ({'model.kind': 'mlp'}, ["model.hidden is ()", "'mlp'"]),
    ({'model.hidden': '(8,)'}, ["model.hidden is (8,)", "'linear'"]),
    ({'model.kind': 'convnet', 'model.hidden': '(4,4,4)'}, ["model.kind 'convnet' wants images", '(4,)']),
    ({'model.weights': 'w.npz'}, ["model.weights is 'w.npz'", "'linear'"]),
    ({'model.trainable': 'lora'}, ['model.trainable is lora', "'linear'"]),
    ({'mesh.data': 3}, ['data=3', '1 device;']),
])
def test_a_config_that_cannot_be(says, npz, changes, words):
    says(*words, **{'data.path': npz, **changes})


def test_a_batch_that_does_not_divide_over_the_devices(says, npz):
    says('a batch of 12 does not divide over 8 devices; take 8 or 16', devices=8, **{'data.path': npz, 'train.batch': 12})


@pytest.mark.parametrize(('edits', 'words', 'changes'), [
    ({'y': np.where((GOOD['d'] == 'b') & (GOOD['y'] == 1), 2, GOOD['y'])}, ["domain 'b' has the class '2' that no other has"], {}),
    ({'y': np.where(np.arange(36) == 5, 2, GOOD['y']), 'classes': ['cat', 'dog']},
     ['domains.npz: the label of row 5 is 2; its classes are numbered 0 to 1'], {}),
    ({'d': np.repeat([0, 1], 18), 'domains': ['a', 'b', 'empty']}, ["domain 'empty' is empty"], {}),
    ({'d': np.repeat(['a', 'b', 'b'], [2, 17, 17])}, ["target 'a': class '0' of the target has 1 example, and 2 to train on"], {}),
    ({'y': np.where(GOOD['d'] == 'b', 0, GOOD['y'])},
     ["target 'b' has no example of the class '1'", 'config.targets those that have all (a, c)', "config.data.classes = 'intersection'"],
     {'data.classes': 'union'}),
    ({'y': np.where(GOOD['d'] == 'b', 0, 1)}, ["target 'a' has no example of the class '0'", 'a source does not: set config.data.classes'],
     {'data.classes': 'union'}),
    ({'d': np.repeat(['a'], 36)}, ["the data have one domain, 'a'"], {}),
    ({'x': np.where(np.arange(36)[:, None] == 7, np.float32(np.nan), GOOD['x'])}, ['domains.npz', 'first row 7, feature 0'], {}),
    ({'y': np.where(np.arange(36) == 4, np.nan, GOOD['y'])}, ['domains.npz: the label of row 4 is missing or NaN'],
     {'data.task': 'regression', METHODS: "('uowq',)"}),
    ({'y': GOOD['y'].astype(str)}, ['a regression wants numbers'], {'data.task': 'regression', METHODS: "('uowq',)"}),
])
def test_data_that_cannot_be(says, tmp_path, edits, words, changes):
    says(*words, **{'data.path': write_data(tmp_path / 'domains.npz', **edits), **changes})


def test_domains_of_different_width(says, tmp_path):
    for name, features in (('wide', 5), ('thin', 4)):
        table = transfer_job.table('a', features=features)
        np.savez(tmp_path / f'{name}.npz', x=table['x'], y=table['y'])
    path = f'wide={tmp_path}/wide.npz,thin={tmp_path}/thin.npz'
    says("domain 'thin' has inputs of shape (4,), domain 'wide' of (5,)", **{'data.path': path})


@pytest.fixture(scope='module')
def tree(tmp_path_factory):
    return transfer_job.image_tree(tmp_path_factory.mktemp('images'), each=5)


IMAGES = {'data.image_size': 32, 'data.channels': 3, 'model.kind': 'vit_s16', 'data.validation': 1}


def test_images_that_cannot_be(says, tree, tmp_path):
    root = shutil.copytree(tree, tmp_path / 'tree')
    says('config.data.image_size = None', **{**IMAGES, 'data.path': root, 'data.image_size': None})
    says('config.data.mean', '(0.5, 0.5)', '3 channels', **{**IMAGES, 'data.path': root, 'data.mean': '(0.5,0.5)'})
    says("config.data.rows = 'l2'", 'features', **{**IMAGES, 'data.path': root, 'data.rows': 'l2'})
    augmented_head = {'model.trainable': 'head', 'data.augment': 'crop'}  # its trunk takes images in every step
    says("config.data.columns = 'standard'", 'features',
         **{**IMAGES, **augmented_head, 'data.path': root, 'data.columns': 'standard'})
    says('patches of 16 x 16', '24 x 24', **{**IMAGES, 'data.path': root, 'data.image_size': 24})
    for number in (1, 3):
        (root / f'Clipart/Mug/{number:05}.jpg').write_text('<html>404</html>')
    says("domain 'Clipart': 2 or more of 10 images cannot be read", '00001.jpg', 'config.data.max_skipped_fraction = 0.1',
         **{**IMAGES, 'data.path': root})
    shutil.rmtree(root / 'Art/Mug')
    says("domain 'Art' has no class 'Mug'", **{**IMAGES, 'data.path': root, 'data.max_skipped_fraction': 0.5})
    shutil.rmtree(root / 'Art/Bike')
    says("domain 'Art'", 'holds no folders of classes', **{**IMAGES, 'data.path': root})


def test_weights_that_cannot_be(says, tree, tmp_path):
    other, bad_file = saved(timm_vit(), tmp_path / 'other.npz'), tmp_path / 'broken.safetensors'
    bad_file.write_bytes(b'\x08\0\0\0\0\0\0\0not json')
    cases = ((other, ['other.npz', 'lacks', 'choose the model.kind']), (bad_file, ['broken.safetensors cannot be read']),
             (tmp_path / 'absent.npz', ['there is no file', 'absent.npz', 'nothing is downloaded']),
             (tmp_path / 'weights.pth', ['weights.pth', 'give a .safetensors or .npz file']))
    for path, words in cases:
        says(*words, **{**IMAGES, 'data.path': tree, 'model.weights': path})


def test_after_a_failed_start_the_folder_takes_another_config(says, npz, tmp_path):
    """Splits of a start that failed later are not those of the next one."""
    says('model.hidden', **{'data.path': npz, 'model.hidden': '(8,)'})
    says('wants images', **{'data.path': npz, 'model.kind': 'convnet', 'model.hidden': '(4,4,4)'})
    with pytest.raises(AssertionError, match='it trains'):
        transfer_job.run(tmp_path / 'run', **{'data.path': npz, 'seeds': 3, 'data.shots': 1})
    assert [len(split['train']) for split in transfer_job.json.loads((tmp_path / 'run/splits.json').read_text())['a']] == [2, 2, 2]


def test_the_program_says_it_in_one_line(npz, tmp_path):
    code, out, err = transfer_job.Program()(tmp_path / 'run', **{'data.path': npz, 'targets': "('z',)"})
    assert (code, out) == (2, '') and err == "error: config.targets: there is no domain 'z'; the data have a, b, c\n"


def test_domains_of_any_name_have_folders_of_their_own_inside_the_run():
    names = ['a', 'a/b', 'a%2Fb', '../out', '/tmp/out', '', '.', '..', '%', '...', 'Real World', 'ü']
    folders = [folder_of(name) for name in names]
    assert len(set(folders)) == len(names) and all(pathlib.PurePath('targets', one).parent.name == 'targets' for one in folders)
    assert not {'', '.', '..'} & set(folders) and folder_of('Real World') == 'Real World'
