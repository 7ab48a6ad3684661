"""The cache of decoded frames is read by several threads at once."""
import concurrent.futures
import gc
import time

import numpy as np
import pytest

from tqd_jax.data.frames import open_frames


class Slow:
    """Garbage whose end lets another thread run, as that of a file or an array of a device does."""

    def __init__(self):
        self.itself = self

    def __del__(self):
        time.sleep(1e-4)


@pytest.fixture
def often():
    """Garbage is collected at nearly every allocation."""
    before = gc.get_threshold()
    gc.set_threshold(20)
    yield
    gc.set_threshold(*before)


@pytest.mark.parametrize('shape', [(1, 16, 16, 3), (133, 16, 28, 3), (1000, 2, 2, 3)])
def test_frames_are_those_of_numpy(tmp_path, shape):
    frames = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    np.save(tmp_path / 'a.npy', frames)
    opened = open_frames(tmp_path / 'a.npy')
    assert opened.dtype == np.uint8 and not opened.flags.writeable
    np.testing.assert_array_equal(opened, np.load(tmp_path / 'a.npy'))


def test_threads_open_frames_at_once(tmp_path, often):
    np.save(tmp_path / 'a.npy', np.zeros((8, 16, 16, 3), np.uint8))

    def work(_):
        Slow()
        return open_frames(tmp_path / 'a.npy').shape

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert set(threads.map(work, range(2000))) == {(8, 16, 16, 3)}
