"""A library's windows are encoded once: whatever changes, stops, dies or fails in between."""
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import types

import cached
import jax
import numpy as np
import pytest
from cached import BUCKETS, OFF, ON, SETTINGS, N, Relative, encode, library

from tqd_jax.cache import latents as module
from tqd_jax.cache.failed import add_failed, read_failed
from tqd_jax.cache.keys import latent_keys
from tqd_jax.cache.latents import NOT_FINITE
from tqd_jax.cache.reader import Reader
from tqd_jax.cache.records import Limits, Writer
from tqd_jax.cache.windows import places
from tqd_jax.cache.work import Waiting
from tqd_jax.clips.content import content_id, content_number
from tqd_jax.latents.pixels import PixelCodec
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.mesh import make_mesh

GAIN = {'gain': np.float32(1)}
ROOT = pathlib.Path(cached.__file__).parents[2]


@pytest.fixture(scope='module')
def rows(tmp_path_factory):
    return library(cached.write_clips(tmp_path_factory.mktemp('library') / 'clips'))


@pytest.fixture(scope='module')
def whole(rows, tmp_path_factory):
    """The cache of all windows."""
    folder = tmp_path_factory.mktemp('whole')
    assert encode(rows, folder).encoded == 2 * N
    return folder


def records(cache):
    """{key: (shape, bytes)} of a cache."""
    reader = Reader.open(cache / 'latents')
    return {reader.keys[i].tobytes(): (reader[i].shape, reader[i].tobytes()) for i in range(len(reader))}


def lines(cache):
    """The lines of all indexes, without their heads."""
    return [json.loads(line) for path in (cache / 'latents').glob('*.jsonl') for line in path.read_text().splitlines()[1:]]


def test_the_cache_is_the_codec_of_the_frames_at_the_places(rows, whole):
    reader, keys = Reader.open(whole / 'latents'), latent_keys(SETTINGS, rows)
    for clip in range(N):
        for window, place in enumerate(places(rows.ids, 2, 'center')[clip]):
            frames = cached.frames(rows).example(clip, rows.bucket_of(clip), place)
            found = reader[reader.find(keys[clip, window])[()]]
            np.testing.assert_allclose(found, PixelCodec().encode({}, frames), atol=1e-7)
    assert found.shape == (4, 16, 24, 3)


def test_the_index_tells_a_person_what_a_record_is(rows, whole):
    found = {(line['clip'], line['window']): line for line in lines(whole)}
    assert len(found) == 2 * N
    line = found[rows.paths[5], 1]
    assert line['bucket'] == [24, 16, 4] and line['frames'] == 4 and line['dtype'] == 'float32' and line['shape'] == [4, 16, 24, 3]


def test_encoding_again_encodes_nothing(rows, whole, monkeypatch):
    before = sorted(whole.rglob('*'))
    monkeypatch.setattr(module, '_compute', lambda *arguments: pytest.fail('computed again'))
    again = encode(rows, whole)
    assert (again.encoded, again.found, again.stopped, again.failed) == (0, 2 * N, False, ())
    assert sorted(whole.rglob('*')) == before


def test_what_changes_is_encoded_and_nothing_else(rows, tmp_path):
    encode(rows, tmp_path)
    other = dataclasses.replace(rows, ids=np.where(np.arange(N) == 2, 77, rows.ids).astype(np.uint64))
    assert encode(other, tmp_path).encoded == 2, 'one clip has other content'
    wide = dataclasses.replace(rows, bucket=np.ones(N, int))
    assert encode(wide, tmp_path).encoded == 2 * 4, 'four clips are of another bucket'
    assert encode(rows, tmp_path, settings=dataclasses.replace(SETTINGS, stored='bfloat16')).encoded == 2 * N
    assert encode(rows, tmp_path).encoded == 0


def test_a_cache_is_the_same_by_workers_threads_batches_processes_and_devices(rows, whole, tmp_path):
    expected = records(whole)
    for number, changes in enumerate(({'workers': 2}, {'batch': 4}, {'batch': 8, 'mesh': make_mesh(devices=jax.devices()[:4])})):
        encode(rows, tmp_path / str(number), **changes)
        assert records(tmp_path / str(number)) == expected
    shares = [encode(rows, tmp_path / 'shared', process=process, processes=4).encoded for process in range(4)]
    assert shares == [4, 4, 2, 2] and records(tmp_path / 'shared') == expected
    with pytest.raises(UserError, match='a batch of 2 does not divide over 4 devices'):
        encode(rows, tmp_path, mesh=make_mesh(devices=jax.devices()[:4]))


def start(folder, *arguments):
    path = os.pathsep.join([str(ROOT), str(ROOT / 'tests/helpers')])
    return subprocess.Popen([sys.executable, cached.__file__, str(folder), *map(str, arguments)], env={**os.environ, 'PYTHONPATH': path},
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_after_a_kill_nothing_is_twice_and_every_byte_is_the_same(rows, whole, tmp_path):
    (tmp_path / 'clips').symlink_to(pathlib.Path(rows.paths[0]).parent)
    killed = start(tmp_path, 8, 0, 1)
    assert killed.wait(100) == -signal.SIGKILL
    killed.communicate()
    left = list((tmp_path / 'cache/latents').glob('.*.part'))
    assert len(left) == 1 and len(records(tmp_path / 'cache')) == 6, 'two shards of three are committed, and two records are lost'
    again = encode(rows, tmp_path / 'cache')
    assert (again.encoded, again.found) == (6, 6) and not left[0].exists()
    assert records(tmp_path / 'cache') == records(whole) and len(lines(tmp_path / 'cache')) == 2 * N


def test_two_processes_encode_at_once(rows, whole, tmp_path):
    (tmp_path / 'clips').symlink_to(pathlib.Path(rows.paths[0]).parent)
    both = [start(tmp_path, 99, process, 2) for process in range(2)]
    assert [process.communicate(timeout=100)[0] for process in both] == ['6 0\n'] * 2
    assert records(tmp_path / 'cache') == records(whole) and len(lines(tmp_path / 'cache')) == 2 * N


class After:
    """A stop request that comes when it was asked so many times."""

    def __init__(self, times):
        self.times = times

    @property
    def requested(self):
        self.times -= 1
        return self.times < 0


@pytest.mark.parametrize('workers', [0, 1])
def test_a_stop_request_closes_the_shard(rows, whole, tmp_path, workers):
    stopped = encode(rows, tmp_path, stop=After(2), workers=workers, limits=Limits())
    assert stopped.stopped and stopped.encoded == 4 and len(records(tmp_path)) == 4
    again = encode(rows, tmp_path)
    assert not again.stopped and again.encoded == 8 and records(tmp_path) == records(whole)
    assert encode(rows, tmp_path / 'none', stop=ON).encoded == 0


class Dark:
    """Frames of which those of clip 3 are black."""

    def example(self, clip, bucket, place):
        return np.full((4, 16, bucket.width, 3), 0 if clip == 3 else 9, np.uint8)


def test_a_fault_of_other_bytes_than_those_scored_is_not_remembered(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(cached, 'frames', lambda rows: Dark())
    changed = dataclasses.replace(rows, ids=rows.ids + np.uint64(1))
    assert len(encode(changed, tmp_path, Relative(), GAIN).failed) == 1 and read_failed(tmp_path) == {}


def test_latents_that_are_not_finite_are_listed_and_not_stored_nor_tried_again(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(cached, 'frames', lambda rows: Dark())
    found = encode(rows, tmp_path, Relative(), GAIN)
    assert found.encoded == 2 * (N - 1) and found.failed == ({'clip': rows.paths[3], 'reason': NOT_FINITE},) and not found.stopped
    there = Reader.open(tmp_path / 'latents').find(latent_keys(SETTINGS, rows)) >= 0
    assert not there[3].any() and there.sum() == 2 * (N - 1)
    keys = {key.tobytes() for key in latent_keys(SETTINGS, rows)[3]}
    assert read_failed(tmp_path) == dict.fromkeys(keys, NOT_FINITE)
    monkeypatch.setattr(module, '_compute', lambda *arguments: pytest.fail('it is tried again'))
    assert encode(rows, tmp_path, Relative(), GAIN).failed == found.failed
    shares = [module.share_of(rows, tmp_path, SETTINGS, process, 2) for process in range(2)]
    assert [len(share.failed) for share in shares] == [0, 1] and not any(share.todo.size for share in shares)
    other = dataclasses.replace(rows, ids=np.where(np.arange(N) == 3, 77, rows.ids).astype(np.uint64))
    assert module.share_of(other, tmp_path, SETTINGS, 0, 1).todo.tolist() == [[3, 0], [3, 1]], 'another clip is tried'
    (tmp_path / 'failed.jsonl').unlink()
    assert module.share_of(rows, tmp_path, SETTINGS, 0, 1).todo.tolist() == [[3, 0], [3, 1]]


def test_a_torn_line_costs_its_own_window_alone(tmp_path):
    add = lambda byte: add_failed(tmp_path, bytes([byte]) * 16, clip='é.mp4', window=0, reason='black')
    add(1)
    add(2)
    os.truncate(tmp_path / 'failed.jsonl', (tmp_path / 'failed.jsonl').stat().st_size - 20)
    assert read_failed(tmp_path) == {b'\1' * 16: 'black'}
    add(3)
    assert read_failed(tmp_path) == {b'\1' * 16: 'black', b'\3' * 16: 'black'}


def test_values_that_the_stored_dtype_cannot_hold_are_not_finite(rows, tmp_path):
    settings = dataclasses.replace(SETTINGS, stored='float16')
    found = encode(rows, tmp_path, Relative(), {'gain': np.float32(1e6)}, settings=settings)
    assert found.encoded == 0 and len(found.failed) == N


@pytest.mark.parametrize('workers', [0, 1])
def test_a_clip_that_cannot_be_read_is_listed(rows, tmp_path, workers):
    paths = list(rows.paths)
    paths[1], paths[5] = str(tmp_path / 'none.mp4'), str(tmp_path / 'text.mp4')
    (tmp_path / 'text.mp4').write_text('no video')
    ids = np.where(np.arange(N) == 5, np.uint64(content_number(content_id(tmp_path / 'text.mp4'))), rows.ids)
    broken = dataclasses.replace(rows, paths=type(rows.paths).of(paths), ids=ids)
    found = encode(broken, tmp_path / 'cache', workers=workers)
    assert found.encoded == 2 * (N - 2) and [one['clip'] for one in found.failed] == [paths[1], paths[5]]
    assert all(one['reason'] for one in found.failed)
    lost = {key.tobytes() for key in latent_keys(SETTINGS, broken)[5]}
    assert set(read_failed(tmp_path / 'cache')) == lost, 'a file that is not there may come back'


def test_one_program_a_bucket(rows, tmp_path):
    module._encode.clear_cache()
    encode(rows, tmp_path, batch=4)
    assert module._encode._cache_size() == len(BUCKETS)


def test_a_full_disk_while_encoding_is_one_line(rows, tmp_path, monkeypatch):
    add = Writer.add

    def full(writer, *arguments, **facts):
        if writer.committed == 3:
            monkeypatch.setattr('os.fsync', lambda file: (_ for _ in ()).throw(OSError(28, 'No space left on device')))
        add(writer, *arguments, **facts)
    monkeypatch.setattr(Writer, 'add', full)
    with pytest.raises(UserError, match=r'No space left on device.*3 records of this process'):
        encode(rows, tmp_path)
    monkeypatch.undo()
    assert len(records(tmp_path)) == 3 and encode(rows, tmp_path).found == 3


def test_progress_has_a_rate_and_the_time_left(rows, tmp_path, capsys):
    found = encode(rows, tmp_path, stop=OFF)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f'latents: {2 * N}/{2 * N}, ') and 'window/s, 00:00 left' in last
    assert 0 < found.waited < found.seconds


def interrupted(stop, then):
    """Two items, then a worker process that is gone, after the stop request if `then`."""
    yield from 'ab'
    stop.requested = then
    raise RuntimeError('Worker process was terminated')


def test_workers_that_an_interrupt_ends_end_the_encoding_without_an_error():
    stop = types.SimpleNamespace(requested=False)
    assert ''.join(Waiting(stop).on(interrupted(stop, True))) == 'ab'
    stop.requested = False
    with pytest.raises(RuntimeError, match='terminated'):
        list(Waiting(stop).on(interrupted(stop, False)))
