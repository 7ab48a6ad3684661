"""Streams, buckets and batches: full under dropout, nothing lost, the same whatever the workers or the point of resumption."""
import concurrent.futures
import pickle
import sys
import threading

import numpy as np
import pytest
import scipy.stats as st

from tqd_jax.data.buckets import Bucket, assign_bucket
from tqd_jax.data.streams import Stream, hashed_uniform

IDS = np.random.default_rng(0).integers(0, 2**64, 500, dtype=np.uint64)


def stream(acceptance=1.0, n=500):
    return Stream(clips=np.arange(n), ids=IDS[:n], acceptance=np.full(n, acceptance), seed=5)


def test_hashes_are_uniform_and_independent():
    a, b = hashed_uniform(1, 2, np.arange(20_000)), hashed_uniform(1, 3, np.arange(20_000))
    assert st.kstest(a, st.uniform.cdf).pvalue > 1e-3 and abs(np.corrcoef(a, b)[0, 1]) < 0.03
    assert not np.array_equal(a, hashed_uniform(2, 2, np.arange(20_000)))


def test_without_dropout_every_epoch_has_every_clip_once_in_another_order():
    s = stream()
    first, second = ([s[i] for i in range(k * 500, (k + 1) * 500)] for k in (0, 1))
    assert sorted(first) == sorted(second) == list(range(500)) and first != second


def test_dropout_keeps_each_clip_at_its_rate():
    acceptance = np.linspace(0.05, 1, 500)
    s = Stream(clips=np.arange(500), ids=IDS, acceptance=acceptance, seed=5)
    seen = np.bincount(np.concatenate([s.epoch(e) for e in range(400)]), minlength=500)
    error = (seen / 400 - acceptance) / np.sqrt(acceptance * (1 - acceptance) / 400 + 1e-9)
    assert np.abs(error[:-1]).max() < 5 and seen[-1] == 400


def test_acceptance_is_a_clip_s_own_matter():
    everyone, few = stream(0.5), stream(0.5, n=100)
    assert set(few.epoch(3)) == {c for c in everyone.epoch(3) if c < 100}


def test_access_is_random():
    forward, backward = stream(0.7), stream(0.7)
    there = [forward[i] for i in range(2000)]
    assert there == [backward[i] for i in reversed(range(2000))][::-1]


def plain(s, index):
    """s[index] by definition: the epochs one after the other."""
    number = 0
    while index >= len(s.epoch(number)):
        index -= len(s.epoch(number))
        number += 1
    return int(s.epoch(number)[index])


@pytest.fixture
def hurried():
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_threads_may_share_a_stream(hurried):
    truth = [plain(stream(0.6, n=40), i) for i in range(400)]
    rng, barrier = np.random.default_rng(0), threading.Barrier(16)

    def read(s, indices):
        barrier.wait()
        return [s[i] for i in indices]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for _ in range(20):
            wanted = rng.integers(0, 400, (16, 20)).tolist()
            found = list(pool.map(read, [stream(0.6, n=40)] * 16, wanted))
            assert found == [[truth[i] for i in indices] for indices in wanted]


def test_a_stream_may_be_pickled_while_it_is_in_use():
    s = stream(0.6)
    first = [s[i] for i in range(700)]
    again = pickle.loads(pickle.dumps(s))
    assert [again[i] for i in range(700)] == first


def test_a_library_that_keeps_nothing_is_refused():
    with pytest.raises(ValueError, match='accepts none'):
        stream(0.0)


BUCKETS = (Bucket(width=32, height=32, frames=8), Bucket(width=48, height=32, frames=8), Bucket(width=48, height=32, frames=16))


CASES = [((640, 640, 9.0), 0), ((1920, 1080, 9.0), 2), ((1920, 1080, 1.5), 1), ((100, 900, 9.0), 0), ((64, 64, 0.5), None)]


@pytest.mark.parametrize(('clip', 'index'), CASES)
def test_buckets_by_shape_then_length(clip, index):
    assert assign_bucket(*clip, BUCKETS, 8.0) == index


def test_impossible_buckets_are_refused():
    with pytest.raises(ValueError, match='positive'):
        Bucket(width=0, height=32, frames=8)
