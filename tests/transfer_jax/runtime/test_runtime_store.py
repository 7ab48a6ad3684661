"""Store: a result is whole or not there, and what was unfinished goes when it is done."""
import jax.numpy as jnp
import numpy as np
import pytest

from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.store import Store

TREE = {'w': jnp.arange(6.0).reshape(2, 3), 'step': jnp.int32(7)}


def test_a_result_comes_back_as_it_was(tmp_path):
    store = Store(tmp_path / 'target')
    assert store.record('fit') is None
    store.save('fit', TREE, {'seconds': 1.5})
    assert store.record('fit') == {'seconds': 1.5}
    back = store.load('fit', TREE)
    assert all(np.array_equal(back[name], TREE[name]) and back[name].dtype == TREE[name].dtype for name in TREE)


def test_a_result_without_arrays_and_in_a_folder_of_its_own(tmp_path):
    store = Store(tmp_path)
    store.save('methods/uowq', None, {'a': [1, 2]})
    assert store.record('methods/uowq') == {'a': [1, 2]} and not list(tmp_path.rglob('*.npz'))


def test_arrays_alone_are_no_result(tmp_path, monkeypatch):
    """Killed between the two files: the arrays are there, and nothing vouches for them."""
    store = Store(tmp_path)
    monkeypatch.setattr('transfer_jax.runtime.store.write_atomically', lambda *paths: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        store.save('fit', TREE, {})
    assert store.record('fit') is None


def test_checkpoints_go_when_the_result_is_there(tmp_path):
    store = Store(tmp_path)
    store.checkpoints('fit').save(3, TREE, {'step': 3})
    assert store.checkpoints('fit').latest() == 3 and store.record('fit') is None
    store.save('fit', TREE, {'step': 5})
    assert store.checkpoints('fit').latest() is None


def test_results_and_what_is_unfinished_by_name(tmp_path):
    store = Store(tmp_path / 'target')
    assert store.names() == [] and store.unfinished() == []
    store.save('b', TREE, {})
    store.save('a', None, {})
    store.save('methods/c', None, {})
    store.checkpoints('d').save(3, TREE, {'step': 3})
    assert store.names() == ['a', 'b'] and store.unfinished() == ['d']
    store.drop_checkpoints('d')
    assert store.unfinished() == [] and store.checkpoints('d').latest() is None


def test_a_damaged_record_is_named(tmp_path):
    (tmp_path / 'fit.json').write_text('{"a": ')
    with pytest.raises(UserError, match=r'fit\.json cannot be read .*remove it'):
        Store(tmp_path).record('fit')


def test_another_tree_is_refused(tmp_path):
    Store(tmp_path).save('fit', TREE, {})
    with pytest.raises(UserError, match=r'w: .*2, 3.* there, .*4.* here'):
        Store(tmp_path).load('fit', {**TREE, 'w': jnp.zeros(4)})
