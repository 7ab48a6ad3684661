"""Trained and frozen parameters: a tree in two parts and back."""
import jax
import numpy as np
import pytest

from tqd_jax.models.partition import everything, merge, partition
from tqd_jax.models.wan import model as wan

CONFIG = wan.WanConfig(layers=2, heads=2, head_dim=8, ffn_dim=24, text_dim=6, text_len=3, in_channels=3, out_channels=3, vocab=8)


def test_every_leaf_is_in_the_part_that_its_path_says():
    params = {'a': {'kernel': 1, 'bias': 2}, 'b': {'c': {'kernel': 3}}, 'd': 4}
    trained, frozen = partition(params, lambda path: path[-1] == 'kernel')
    assert trained == {'a': {'kernel': 1}, 'b': {'c': {'kernel': 3}}} and frozen == {'a': {'bias': 2}, 'd': 4}
    assert merge(trained, frozen) == merge(frozen, trained) == params
    assert partition(params, everything) == (params, {})
    assert partition(params, lambda path: path[0] == 'b')[0] == {'b': {'c': {'kernel': 3}}}


def test_a_leaf_in_both_parts_is_refused():
    for frozen in ({'a': 1}, {'a': {'b': 1}}):
        with pytest.raises(ValueError, match="'a' is trained and frozen"):
            merge({'a': 2}, frozen)


def test_wan_predicts_the_same_from_its_parts():
    params = jax.jit(lambda key: wan.init_params(CONFIG, key))(jax.random.key(0))
    params['patch_out']['kernel'] = params['patch_out']['kernel'] + 0.1  # which starts at 0
    trained, frozen = partition(params, lambda path: path[0] == 'blocks')
    assert set(trained) == {'blocks'} and 'patch_out' in frozen
    x, t, text = np.ones((1, 1, 4, 4, 3), np.float32), np.full(1, 0.5, np.float32), np.ones((1, 3), np.int32)
    predict = jax.jit(wan.apply(CONFIG))
    np.testing.assert_array_equal(predict(trained, frozen, x, t, text), predict(params, {}, x, t, text))
