"""A folder in an object store is one as any other: whole files, checkpoints, results, metrics; what is missing is told at the start."""
import pathlib

import fsspec
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import stores

from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.files import local_folder, replace_atomically, write_atomically
from transfer_jax.runtime.job import run_mode
from transfer_jax.runtime.metrics import Metrics, read_metrics
from transfer_jax.runtime.paths import check_store, is_remote, local_copy, path_of, remove_folder, scratch_of
from transfer_jax.runtime.saves import checkpoint
from transfer_jax.runtime.saves.checkpoint import Checkpoints
from transfer_jax.runtime.store import Store

STATE = {'a': {'w': jnp.arange(6.0).reshape(2, 3)}, 'step': jnp.int32(7)}


@pytest.fixture(params=['gs', 's3'])
def folder(request):
    """A new folder in an object store."""
    path = path_of(stores.gs_folder() if request.param == 'gs' else stores.s3_folder()) / 'here'
    remove_folder(path)
    return path


def abstract(tree):
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), tree)


def same(found, wanted):
    return jax.tree.all(jax.tree.map(lambda a, b: a.dtype == b.dtype and np.array_equal(a, b), found, wanted))


def test_a_url_keeps_its_text_and_other_urls_are_refused():
    assert str(path_of('gs://bucket/run') / 'a') == 'gs://bucket/run/a' and is_remote('s3://b/x')
    assert path_of('runs/a') == scratch_of(pathlib.Path('runs/a')) == pathlib.Path('runs/a') and not is_remote('runs/gs:/a')
    with pytest.raises(UserError, match=r'^https://host/run: a run, or its cache, is in a local folder or at gs:// or s3://$'):
        path_of('https://host/run')
    for empty in ('gs://', 's3:///run'):
        with pytest.raises(UserError, match=r'names no bucket: write (gs|s3)://BUCKET/PATH'):
            path_of(empty)


def test_files_are_written_whole_and_read_as_local_ones(folder):
    write_atomically(folder / 'a.json', b'{}')
    assert replace_atomically(folder / 'b/c.bin', lambda part: part.write_bytes(b'12345')) == 5
    with pytest.raises(KeyError):  # before its end
        replace_atomically(folder / 'b/c.bin', lambda part: (part.write_bytes(b'6'), {}['no']))
    with local_copy(folder / 'b/c.bin') as local:
        assert local.read_bytes() == b'12345' and local.name == 'c.bin'
    assert not local.exists() and sorted(path.name for path in folder.iterdir()) == ['a.json', 'b'] and not (folder / 'd').exists()


def test_a_checkpoint_is_whole_or_absent(folder, monkeypatch):
    checkpoints = Checkpoints(folder / 'checkpoints', keep=2)
    assert checkpoints.latest() is None
    for step in (1, 2, 3):
        checkpoints.save(step, STATE, {'next': step})
    assert checkpoints.steps() == [2, 3] and checkpoints.extras(3) == {'next': 3}
    assert same(checkpoints.restore(3, abstract(STATE)), STATE)
    (folder / 'checkpoints' / '3' / Checkpoints.last_file).unlink()  # killed before its end
    again = Checkpoints(folder / 'checkpoints')
    assert again.latest() == 2
    again.save(3, STATE, {'next': 3})
    assert again.steps() == [2, 3] and same(again.restore_part(3, 'a', abstract(STATE['a'])), STATE['a'])


def test_a_checkpoint_that_is_copied_is_fetched_once_and_only_to_be_restored(monkeypatch):
    checkpoints, fetched = Checkpoints(path_of(stores.s3_folder()) / 'once'), []
    checkpoints.save(1, STATE, {'next': 1})
    monkeypatch.setattr(checkpoint, 'local_folder', lambda path: fetched.append(path) or local_folder(path))
    assert checkpoints.extras(1) == {'next': 1} and not fetched
    assert same(checkpoints.restore(1, abstract(STATE)), STATE) and len(fetched) == 1


def test_results_and_what_is_unfinished_are_kept(folder):
    store = Store(folder)
    store.checkpoints('fit').save(4, STATE, {'step': 4})
    assert store.record('fit') is None and store.checkpoints('fit').extras(4) == {'step': 4}
    assert same(store.checkpoints('fit').restore(4, abstract(STATE)), STATE)
    store.save('fit', STATE, {'loss': 1})
    assert store.record('fit') == {'loss': 1} and store.checkpoints('fit').latest() is None
    assert same(store.load('fit', STATE), STATE)


def test_metrics_of_a_resumed_run_follow_those_of_its_last_flush(folder):
    with Metrics(folder) as metrics:
        metrics.write(0, {'loss': 2.0})
        metrics.write(1, {'loss': 1.0})
        metrics.flush()
        assert [line['step'] for line in read_metrics(folder / 'metrics.jsonl')] == [0, 1]
    with Metrics(folder, start_step=1) as metrics:
        metrics.write(1, {'loss': 0.5})
    assert read_metrics(folder / 'metrics.jsonl') == [{'step': 0, 'loss': 2.0}, {'step': 1, 'loss': 0.5}]
    assert {path.name[:6] for path in (folder / 'tensorboard').iterdir()} == {'events'}


def test_a_missing_bucket_or_package_is_told_in_one_line_before_anything_else(monkeypatch):
    stores.gcs()
    begun = {'train': lambda config, folder: pytest.fail('the job began')}
    with pytest.raises(UserError, match=r'^gs://not-there/run cannot be written .*: the bucket must be there, and this machine have cred'):
        run_mode(begun, 'train', None, 'gs://not-there/run')

    def absent(*_, **__):
        raise ImportError('Please install gcsfs to access Google Storage')
    monkeypatch.setattr(fsspec.core, 'url_to_fs', absent)
    with pytest.raises(UserError, match=r"install gcsfs .*: the packages for it are installed by pip install -e '\.\[cloud\]'$"):
        check_store(path_of('gs://not-there/run'))


def test_a_store_that_fails_in_the_middle_is_the_users_error(monkeypatch):
    from gcsfs.retry import HttpError

    def failing(config, folder):
        raise HttpError({'message': 'Service Unavailable', 'code': 503})
    with pytest.raises(UserError, match=r'cannot be reached \(HttpError: Service Unavailable.*; the same command goes on where it was'):
        run_mode({'train': failing}, 'train', None, stores.gs_folder())


def test_nothing_local_is_left_behind(folder, monkeypatch, tmp_path):
    stores.machine(monkeypatch, tmp_path)
    with Metrics(folder) as metrics:
        metrics.write(0, {'loss': 2.0})
    Checkpoints(folder / 'checkpoints').save(1, STATE, {})
    assert not [path for path in tmp_path.rglob('*') if path.is_file()]
