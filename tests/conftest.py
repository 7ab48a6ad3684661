"""Eight virtual CPU devices, strict dtypes, and flags parsed, before any test touches JAX."""
import pathlib

import jax
import pytest
import small
from absl import flags

jax.config.update('jax_num_cpu_devices', 8)
jax.config.update('jax_numpy_dtype_promotion', 'strict')
jax.config.update('jax_numpy_rank_promotion', 'raise')
flags.FLAGS.mark_as_parsed()  # grain reads absl flags, and pytest is no absl app

CLIPS = pathlib.Path(__file__).parents[1] / '../shared/data/clips'


@pytest.fixture(scope='session')
def real_clips():
    """The folder of real clips; tests that need it skip, with the reason, where it is absent."""
    if not CLIPS.is_dir():
        pytest.skip('no folder of real clips at ../shared/data/clips')
    return CLIPS.resolve()


@pytest.fixture(scope='session')
def program(tmp_path_factory):
    """The main job, shrunk, as a program of its own; all such programs share one cache of compilations."""
    return small.Program(tmp_path_factory.mktemp('compiled'))


@pytest.fixture(scope='session')
def library(tmp_path_factory):
    """The manifest of sixteen rendered clips."""
    return small.rendered(tmp_path_factory.mktemp('rendered'))
