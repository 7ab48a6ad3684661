"""Features that were encoded beforehand, as a text encoder."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tqd_jax.text.features import Features

TEXT = Features(length=4, width=3)


def test_features_pass_as_they_are():
    features = np.ones((2, 4, 3), jnp.bfloat16)
    assert TEXT.encode({}, features) is features
    assert TEXT.spec() == jax.ShapeDtypeStruct((4, 3), jnp.bfloat16)
    assert Features().spec() == jax.ShapeDtypeStruct((512, 4096), jnp.bfloat16) and Features(dtype='float32').spec().dtype == np.float32


def test_the_empty_caption_is_a_parameter():
    params = TEXT.init(None)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), params) == {'empty': (TEXT.spec().shape, TEXT.spec().dtype)}
    assert TEXT.empty(params) is params['empty']


def test_captions_and_files_are_refused():
    with pytest.raises(ValueError, match='come from the cache; 2 captions'):
        TEXT.prepare(['a', 'b'])
    with pytest.raises(ValueError, match=r'come from the cache.*umt5\.pth'):
        TEXT.load('umt5.pth')
