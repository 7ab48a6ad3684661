"""Several captions of a clip: which one an example gets is a function of seed, step and example, evenly, whatever reads it."""
import dataclasses
import pickle

import numpy as np
import pyarrow as pa
import pytest
import scipy.stats as st

from tqd_jax.clips.strings import Strings
from tqd_jax.data.columns import taken_captions
from tqd_jax.data.rows import Rows
from tqd_jax.data.several import drawn_tokens

BATCH = pa.record_batch({'caption': ['one', 'alone', None, 'x'], 'captions': [['one', 'two', 'three'], None, None, ['x', 'y']]})


def rows(counts):
    """Rows of clips that have so many captions; tokens tell clip and caption."""
    tokens = [[clip, 0] for clip in range(len(counts))]
    further = [[clip, number] for clip, count in enumerate(counts) for number in range(1, count)]
    more = np.array(counts) - 1
    each = {field.name: np.zeros(len(counts)) for field in dataclasses.fields(Rows) if field.default is dataclasses.MISSING}
    return Rows(**each | {'paths': Strings.of(map(str, counts)), 'tokens': np.array(tokens), 'further': more,
                          'further_start': np.cumsum(more) - more, 'further_tokens': np.array(further).reshape(-1, 2)})


def test_how_captions_are_taken():
    first, counts, further = taken_captions(BATCH, 'draw')
    assert (first.to_pylist(), counts.tolist(), further.to_pylist()) == (['one', 'alone', '', 'x'], [2, 0, 0, 1], ['two', 'three', 'y'])
    first, counts, further = taken_captions(BATCH, 'first')
    assert (first.to_pylist(), counts.sum(), len(further)) == (['one', 'alone', '', 'x'], 0, 0)
    first, counts, further = taken_captions(BATCH, 'join')
    assert (first.to_pylist(), counts.sum(), len(further)) == (['one two three', 'alone', '', 'x y'], 0, 0)
    assert taken_captions(BATCH.select(['caption']), 'draw')[1].tolist() == [0] * 4


def test_each_example_draws_a_caption_of_its_clip_evenly():
    lib, clips = rows([3, 1, 2]), np.arange(3000) % 3
    drawn = drawn_tokens(lib, clips, 7, 5, np.arange(3000))
    np.testing.assert_array_equal(drawn[:, 0], clips)
    for clip, count in enumerate((3, 1, 2)):
        counted = np.bincount(drawn[clips == clip, 1], minlength=count)
        assert len(counted) == count and (count == 1 or st.chisquare(counted).pvalue > 1e-3)


def test_the_draw_is_a_function_of_seed_step_and_example():
    lib, clips, examples = rows([3, 1, 2, 4]), np.array([0, 1, 2, 3] * 50), np.arange(200)
    drawn = drawn_tokens(lib, clips, 7, 5, examples)
    order = np.random.default_rng(0).permutation(200)
    np.testing.assert_array_equal(drawn_tokens(lib, clips[order], 7, 5, examples[order]), drawn[order])
    assert all((drawn_tokens(lib, clips, *key, examples) != drawn).any() for key in ((8, 5), (7, 6)))
    again = pickle.loads(pickle.dumps(lib))
    np.testing.assert_array_equal(drawn_tokens(again, clips, 7, 5, examples), drawn)


@pytest.mark.parametrize('counts', [[1, 1], [1]])
def test_rows_that_say_nothing_have_one_caption_each(counts):
    each = {field.name: np.zeros(len(counts)) for field in dataclasses.fields(Rows) if field.default is dataclasses.MISSING}
    lib = Rows(**each | {'paths': Strings.of(map(str, counts)), 'tokens': np.array(counts)})
    assert drawn_tokens(lib, np.arange(len(counts)), 0, 0, np.arange(len(counts))).tolist() == counts
