"""The flow shift of a bucket by its tokens: laws of clips of several buckets, and the keys that contradict it."""
import dataclasses

import numpy as np
import pytest
import small

from tqd_jax.config import check_whole
from tqd_jax.data.rows import Rows
from tqd_jax.timesteps.law import sample_timesteps
from tqd_jax.timesteps.quality import LawConfig
from transfer_jax.runtime.errors import UserError

POINTS = ((16, 2.0), (64, 4.0))


def test_each_clip_has_the_shift_of_its_bucket():
    each = dict.fromkeys(('paths', 'ids', 'weight', 'tokens', 'group', 'duration'), np.zeros(3))
    rows = Rows(**each, bucket=np.array([0, 1, 0]), buckets=(None, None), mq=np.full(3, 0.5), vq=np.full(3, 0.5),
                law=LawConfig(kind='uniform'), shifts=(1.0, 4.0))
    t = sample_timesteps(rows.laws(np.array([1, 0, 2])), np.full(3, 0.5, np.float32))
    np.testing.assert_allclose(t, [4 * 0.5 / (1 + 3 * 0.5), 0.5, 0.5], rtol=1e-6)
    alone = dataclasses.replace(rows, shifts=None).laws(np.array([0, 2]))
    np.testing.assert_array_equal(sample_timesteps(alone, np.full(2, 0.3, np.float32)), np.float32(0.3))


def test_a_run_gets_the_shifts_of_its_tokens(library, tmp_path):
    changes = {'data.clips': library, 'law.shift_by_tokens': POINTS, 'data.buckets': ((16, 16, 4), (32, 16, 4))}
    small.run(tmp_path, 'score', **changes)
    shifts = small.built(tmp_path, **changes).library.shifts  # of 2 x 4 x 4 and 2 x 4 x 8 tokens
    np.testing.assert_allclose(shifts, [2 * 2 ** 0.5, 4.0], rtol=1e-12)


@pytest.mark.parametrize(('changes', 'words'), [
    ({'law.shift': 3.0, 'law.shift_by_tokens': POINTS}, 'give one of them'),
    ({'law.shift_by_tokens': ((16, 2.0), (16, 4.0))}, 'different numbers of tokens')])
def test_keys_that_contradict_each_other(changes, words):
    with pytest.raises(UserError, match=words):
        check_whole(small.config(**changes))
