"""Eight virtual CPU devices, strict dtypes, and flags parsed, before any test touches JAX."""
import contextlib
import gc
import os
import pathlib

import jax
import pytest
import small
from absl import flags
from hypothesis import settings
from jax.experimental.compilation_cache import compilation_cache
from quick import quick_to_compile

jax.config.update('jax_num_cpu_devices', 8)
jax.config.update('jax_numpy_dtype_promotion', 'strict')
jax.config.update('jax_numpy_rank_promotion', 'raise')
settings.register_profile('same', derandomize=True)  # a failure is the code's, not the day's; --hypothesis-profile=default looks further
settings.load_profile('same')
flags.FLAGS.mark_as_parsed()  # grain reads absl flags, and pytest is no absl app

TESTS = pathlib.Path(__file__).parent
CLIPS = TESTS / '../../shared/data/clips'
JOBS = TESTS / 'tqd_jax/processes', TESTS / 'tqd_jax/jobs'
QUICK = {*JOBS, *(TESTS / place for place in ('tqd_jax/models/test_chunked.py', 'tqd_jax/models/test_lora_model.py',
                                            'tqd_jax/models/spread', 'tqd_jax/models/test_wan.py', 'tqd_jax/scoring',
                                            'tqd_jax/text/test_umt5.py', 'tqd_jax/training', 'transfer_jax/experiment', 'benchmarks'))}


def pytest_collection_modifyitems(items):
    """Jobs come first: their modules have few tests and take longest, and one that began last would leave the other workers idle."""
    items.sort(key=lambda item: not any(folder in item.path.parents for folder in JOBS))


def pytest_collection_finish():
    """What is imported stays: the garbage collector need not look at it again."""
    gc.freeze()


@pytest.fixture(scope='module', autouse=True)
def programs(request):
    """A module's programs are compiled quickly in the places of QUICK, and as users get them elsewhere; when it is done, they are dropped.

    Else a worker ends with gigabytes of them.
    """
    quick = not QUICK.isdisjoint([request.path, *request.path.parents])
    with quick_to_compile() if quick else contextlib.nullcontext():
        yield
    jax.clear_caches()


@pytest.fixture(scope='session')
def real_clips():
    """The folder of real clips; tests that need it skip, with the reason, where it is absent."""
    if not CLIPS.is_dir():
        pytest.skip('no folder of real clips at ../shared/data/clips')
    return CLIPS.resolve()


@pytest.fixture(scope='session')
def program():
    """The main job, shrunk, as a program of its own."""
    return small.Program()


@pytest.fixture(scope='session', autouse=True)
def compiled(tmp_path_factory):
    """The folder where all workers and the programs that they start keep what they compile, so that each program is compiled once."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if 'PYTEST_XDIST_WORKER' in os.environ else base) / 'compiled'
    settings = {'jax_compilation_cache_dir': str(folder), 'jax_persistent_cache_min_compile_time_secs': 0.0,
                'jax_persistent_cache_min_entry_size_bytes': -1}
    for name, value in settings.items():
        jax.config.update(name, value)
        os.environ[name.upper()] = str(value)
    compilation_cache.reset_cache()  # JAX reads the setting once, and a module may have compiled while it was imported
    return folder


@pytest.fixture(scope='session')
def library(tmp_path_factory):
    """The manifest of sixteen rendered clips."""
    return small.rendered(tmp_path_factory.mktemp('rendered'))
