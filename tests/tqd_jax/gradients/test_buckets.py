"""Buckets one by one: what is kept is not asked for again, and it is kept for the same weights, config and clips alone."""
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small

from tqd_jax.gradients import bins as buckets
from tqd_jax.gradients.products import Products
from transfer_jax.runtime.store import Store


class Source:
    """Products of buckets that notes which it was asked for, and is interrupted at one."""

    def __init__(self, fails_at=None):
        self.asked, self.fails_at = [], fails_at

    def __call__(self, bucket):
        if not isinstance(bucket, jax.core.Tracer):  # which only ask for shapes
            self.asked.append(int(bucket))
            if int(bucket) == self.fails_at:
                raise KeyboardInterrupt
        number = bucket.astype(jnp.float32)
        return Products(cross=jnp.sqrt(number + jnp.ones((2, 3))), own=jnp.ones(2) / 3), jnp.float32(0.1) * number


def test_a_stopped_pass_goes_on_and_finds_what_a_whole_one_does(tmp_path):
    kept, stopped, rest, again = Store(tmp_path), Source(fails_at=2), Source(), Source()
    with pytest.raises(KeyboardInterrupt):
        buckets.by_bucket(stopped, 4, label='test', kept=kept)
    found = buckets.by_bucket(rest, 4, label='test', kept=kept)
    assert (stopped.asked, rest.asked) == ([0, 1, 2], [2, 3])
    for one in (buckets.by_bucket(Source(), 4, label='test'), buckets.by_bucket(again, 4, label='test', kept=kept)):
        assert jax.tree.structure(one) == jax.tree.structure(found)
        jax.tree.map(np.testing.assert_array_equal, one, found)
    assert again.asked == []


def test_other_weights_config_or_clips_have_a_store_of_their_own(tmp_path):
    def folder(mode='learn', clips=(0, 1), weight=1.0, **changes):
        run = types.SimpleNamespace(workdir=tmp_path, config=small.config(**changes), library=types.SimpleNamespace(ids=np.arange(5) + 10))
        return buckets.kept_for(run, mode, {'w': jnp.full(3, weight, jnp.bfloat16), 'v': jnp.zeros(2)}, np.array(clips)).directory

    ways = [folder(), folder('align'), folder(clips=(0, 2)), folder(weight=1.01), folder(**{'learn.chunks': 8})]
    assert len(set(ways)) == 5 and folder() == ways[0] and ways[0].parent == tmp_path / 'gradients/learn'
    for way in ways[:2]:
        Store(way).save('bucket0', None, {})
    buckets.forget(tmp_path, 'learn')
    assert not ways[0].exists() and Store(ways[1]).record('bucket0') == {}, 'what align had kept is gone with what learn had'
    for _ in range(2):
        buckets.forget(tmp_path, 'align')
    assert not (tmp_path / 'gradients').exists()
