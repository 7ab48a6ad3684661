"""The identity of published weights: another value, name or dtype is another model; an empty tensor is no error."""
import numpy as np
import pytest
import safetensors.numpy

from tqd_jax.foundations.identity import identity_of
from tqd_jax.models.io.files import open_tensors

ARRAYS = {'a': np.ones((2, 3), np.float32), 'scale': np.array(2.0, np.float32), 'scaled_fp8': np.zeros(0, np.float32)}


def identity(folder, arrays):
    safetensors.numpy.save_file(arrays, folder / 'weights.safetensors')
    return identity_of(open_tensors(folder / 'weights.safetensors'))


def test_equal_weights_have_one_identity(tmp_path):
    assert identity(tmp_path, ARRAYS) == identity(tmp_path, dict(reversed(ARRAYS.items())))


@pytest.mark.parametrize('changes', [{'a': 2 * ARRAYS['a']}, {'a': ARRAYS['a'].astype(np.float16)}, {'a': ARRAYS['a'].T.copy()},
                                     {'scale': np.array(3.0, np.float32)}, {'b': ARRAYS['a']}])
def test_other_weights_have_another(tmp_path, changes):
    assert identity(tmp_path, ARRAYS) != identity(tmp_path, ARRAYS | changes)
