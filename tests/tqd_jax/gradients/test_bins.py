"""Noise bins one by one: what is stored is not computed again, and it serves the same weights, config and clips alone."""
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small

from tqd_jax.gradients import bins
from tqd_jax.gradients.products import Products
from transfer_jax.runtime.store import Store


class Source:
    """Products of noise bins that notes which it computes, and is interrupted at one."""

    def __init__(self, fails_at=None):
        self.calls, self.fails_at = [], fails_at

    def __call__(self, number):
        if not isinstance(number, jax.core.Tracer):  # of shapes alone
            self.calls.append(int(number))
            if int(number) == self.fails_at:
                raise KeyboardInterrupt
        number = number.astype(jnp.float32)
        return Products(cross=jnp.sqrt(number + jnp.ones((2, 3))), own=jnp.ones(2) / 3), jnp.float32(0.1) * number


def test_a_stopped_pass_goes_on_and_finds_what_a_whole_one_does(tmp_path):
    store, stopped, rest, again = Store(tmp_path), Source(fails_at=2), Source(), Source()
    with pytest.raises(KeyboardInterrupt):
        bins.products_by_bin(stopped, 4, label='test', store=store)
    found = bins.products_by_bin(rest, 4, label='test', store=store)
    assert (stopped.calls, rest.calls) == ([0, 1, 2], [2, 3])
    for one in (bins.products_by_bin(Source(), 4, label='test'), bins.products_by_bin(again, 4, label='test', store=store)):
        assert jax.tree.structure(one) == jax.tree.structure(found)
        jax.tree.map(np.testing.assert_array_equal, one, found)
    assert again.calls == []


def test_other_weights_config_or_clips_have_a_store_of_their_own(tmp_path):
    def folder(mode='learn', clips=(0, 1), weight=1.0, **changes):
        run = types.SimpleNamespace(workdir=tmp_path, config=small.config(**changes), library=types.SimpleNamespace(ids=np.arange(5) + 10))
        return bins.bin_store(run, mode, {'w': jnp.full(3, weight, jnp.bfloat16), 'v': jnp.zeros(2)}, np.array(clips)).directory

    ways = [folder(), folder('align'), folder(clips=(0, 2)), folder(weight=1.01), folder(**{'learn.chunks': 8})]
    assert len(set(ways)) == 5 and folder() == ways[0] and ways[0].parent == tmp_path / 'gradients/learn'
    for way in ways[:2]:
        Store(way).save('bin0', None, {})
    bins.remove_store(tmp_path, 'learn')
    assert not ways[0].exists() and Store(ways[1]).record('bin0') == {}, 'the bins of align are gone with those of learn'
    for _ in range(2):
        bins.remove_store(tmp_path, 'align')
    assert not (tmp_path / 'gradients').exists()
