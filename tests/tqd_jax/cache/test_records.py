"""Shards on disk: whole or absent, read at random, and one line where a file is damaged."""
import fcntl
import os
import pathlib
import pickle
import subprocess
import sys
import threading

import grain
import jax.numpy as jnp
import numpy as np
import pytest

from tqd_jax.cache import reader as reading
from tqd_jax.cache.reader import Reader
from tqd_jax.cache.records import Limits, Writer
from tqd_jax.cache.shard import INDEX, PART, SHARD, folder_of, index_of, remove_dead_parts, start_part
from tqd_jax.data.loader import iterate
from transfer_jax.runtime.errors import UserError

ROOT = pathlib.Path(__file__).parents[3]
DTYPES = 'bfloat16', 'float16', 'float8_e4m3fn', 'int8'


def key(number):
    """16 bytes in no order, the last 0."""
    return np.random.default_rng(number).bytes(15) + b'\0'


def array(number, dtype='float32'):
    """Of a shape and content of its own."""
    return np.random.default_rng(number).normal(size=(1 + number % 3, 5, 2)).astype(jnp.dtype(dtype))


def write(folder, numbers, process=0, records=4):
    with Writer(folder, process, Limits(records=records)) as writer:
        for number in numbers:
            writer.add(key(number), array(number), clip=f'{number}.mp4')
    return writer


def find(reader, number):
    return reader.find(np.frombuffer(key(number), np.uint8))[()]


def assert_there(folder, numbers):
    reader = Reader.open(folder)
    for number in numbers:
        np.testing.assert_array_equal(reader[find(reader, number)], array(number))


def shards(folder):
    return sorted(folder.glob(f'*{SHARD}'))


def test_random_access_equals_what_was_written(tmp_path):
    assert write(tmp_path, range(10)).committed == 10
    reader = Reader.open(tmp_path)
    assert len(reader) == 10 and len(shards(tmp_path)) == 3 and len(list(tmp_path.iterdir())) == 6
    assert_there(tmp_path, (7, 0, 9, 3, 3))
    wanted = np.stack([np.frombuffer(key(n), np.uint8) for n in (1, 99, 2, 98)]).reshape(2, 2, 16)
    assert (reader.find(wanted) >= 0).tolist() == [[True, False], [True, False]]
    assert sorted(map(bytes, reader.keys)) == list(map(bytes, reader.keys))


def test_other_dtypes_come_back(tmp_path):
    with Writer(tmp_path) as writer:
        for number, dtype in enumerate(DTYPES):
            writer.add(key(number), array(number, dtype))
    reader = Reader.open(tmp_path)
    for number, dtype in enumerate(DTYPES):
        found = reader[find(reader, number)]
        assert found.dtype == jnp.dtype(dtype) and found.tobytes() == array(number, dtype).tobytes()


def test_an_absent_folder_is_an_empty_cache_and_a_url_of_no_store_is_none(tmp_path):
    reader = Reader.open(tmp_path / 'none')
    assert len(reader) == 0 and reader.find(np.zeros((3, 2, 16), np.uint8)).tolist() == [[-1, -1]] * 3
    with pytest.raises(UserError, match='is in a local folder or at gs:// or s3://'):
        folder_of('https://host/cache', 'text')


@pytest.mark.parametrize('limits', [Limits(records=1), Limits(bytes=1), Limits(seconds=0.0)])
def test_every_limit_closes_a_shard(tmp_path, limits):
    with Writer(tmp_path, 0, limits) as writer:
        for number in range(3):
            writer.add(key(number), array(number))
            assert writer.committed == number + 1
    assert len(shards(tmp_path)) == 3


def test_a_key_that_two_processes_wrote_is_one_record(tmp_path):
    write(tmp_path, range(3), process=0)
    write(tmp_path, range(2, 5), process=7)
    assert len(Reader.open(tmp_path)) == 5 and sum(path.name.startswith('0007-') for path in shards(tmp_path)) == 1
    assert_there(tmp_path, range(5))


def test_an_error_keeps_what_was_written(tmp_path):
    with pytest.raises(KeyboardInterrupt), Writer(tmp_path) as writer:
        writer.add(key(1), array(1))
        raise KeyboardInterrupt
    assert_there(tmp_path, [1])


class Read:
    """Number -> array, in a worker process."""

    def __init__(self, reader):
        self.reader = reader

    def __call__(self, number):
        return self.reader[find(self.reader, number)]


@pytest.mark.parametrize('workers', [0, 2])
def test_threads_and_workers_read_the_same(tmp_path, monkeypatch, workers):
    monkeypatch.setattr(reading, 'OPEN', 1)  # threads take each other's files
    write(tmp_path, range(12))
    reader = Reader.open(tmp_path)
    dataset = grain.MapDataset.source(list(range(12)) * 4).map(Read(reader))
    ahead = iterate(dataset, 0, 48, workers=workers, prefetch=4)
    for number, found in enumerate(ahead):
        np.testing.assert_array_equal(found, array(number % 12))
    ahead.close()
    assert number == 47 and len(reader._open) <= 1
    assert len(pickle.dumps(reader)) < 1000, 'the index is pickled and not mapped'


def change(path, at, byte=None):
    """Cuts a file at a place, or changes a byte there."""
    data = bytearray(path.read_bytes())
    at %= len(data)
    path.write_bytes(data[:at] if byte is None else data[:at] + bytes([data[at] ^ byte]) + data[at + 1:])


@pytest.mark.parametrize(('ending', 'at', 'byte'), [
    (INDEX, -10, None), (INDEX, 0, None), (INDEX, 3, 255), (INDEX, 200, 1), (INDEX, -5, 255), (SHARD, -1, None), (SHARD, 0, None)])
def test_a_damaged_file_is_one_line_and_deleting_it_costs_its_records_alone(tmp_path, ending, at, byte):
    write(tmp_path, range(12))
    bad = shards(tmp_path)[1]
    bad = index_of(bad) if ending == INDEX else bad
    change(bad, at, byte)
    with pytest.raises(UserError) as error:
        Reader.open(tmp_path)
    assert str(error.value).startswith(f'{bad} is damaged (') and 'delete that file and encode again' in str(error.value)
    assert '\n' not in str(error.value)
    bad.unlink()
    lost = [number for number in range(12) if find(Reader.open(tmp_path), number) < 0]
    assert len(lost) == 4
    write(tmp_path, lost)
    assert_there(tmp_path, range(12))


def test_a_shard_whose_content_changed_is_found_on_reading(tmp_path):
    write(tmp_path, range(4))
    shard, = shards(tmp_path)
    reader, data = Reader.open(tmp_path), shard.read_bytes()
    change(shard, 2**16 + 100, 255)
    with pytest.raises(UserError, match='is damaged'):
        [reader[record] for record in range(4)]
    shard.write_bytes(data)
    assert_there(tmp_path, range(4))
    shard.unlink()
    with pytest.raises(UserError, match='is damaged'):
        Reader(tmp_path, reader.shards, reader.kinds, keys=reader.keys, shard=reader.shard, position=reader.position, kind=reader.kind)[0]


def test_an_index_of_another_format_is_refused(tmp_path):
    write(tmp_path, range(2))
    index, = tmp_path.glob(f'*{INDEX}')
    index.write_bytes(index.read_bytes().replace(b'"format": 1', b'"format": 9', 1))
    with pytest.raises(UserError, match='has format 9, and this version reads 1'):
        Reader.open(tmp_path)


def test_parts_of_dead_processes_go_and_those_of_living_ones_stay(tmp_path):
    write(tmp_path, range(3))
    file, part = start_part(tmp_path, 0)
    dead, other = tmp_path / part.name.replace('.0000', '.0001'), tmp_path / f'.0000-00000000-1234abcd{SHARD}{PART}'
    orphan = tmp_path / part.name.replace('.0000', '0002').removesuffix(PART)
    line = tmp_path / f'.{index_of(orphan).name}{PART}'
    for path in (dead, other, orphan, line):
        path.write_bytes(b'')
    assert set(remove_dead_parts(tmp_path)) == {dead.name, orphan.name}
    assert part.exists() and other.exists() and not line.exists()
    assert_there(tmp_path, range(3))
    file.close()
    assert remove_dead_parts(tmp_path) == [part.name]


def test_a_part_that_was_removed_before_its_lock_is_not_used(tmp_path, monkeypatch):
    lock, made = fcntl.flock, []

    def late(file, how):
        lock(file, how)
        if not made:
            os.unlink(file.name)
        made.append(file.name)
    monkeypatch.setattr(fcntl, 'flock', late)
    file, part = start_part(tmp_path, 0)
    file.close()
    assert len(made) == 2 and part.exists() and made[1] == str(part)


FULL = """
import resource, sys
import numpy as np
from tqd_jax.cache.records import Limits, Writer
from transfer_jax.runtime.errors import UserError
resource.setrlimit(resource.RLIMIT_FSIZE, (2 * 10**6,) * 2)
try:
    with Writer(sys.argv[1], 0, Limits(records=2)) as writer:
        for n in range(4):
            writer.add(bytes([n] * 16), np.random.default_rng(n).normal(size=(10, 10**4 * (1 + 9 * (n > 1)))))
except UserError as error:
    print(error)
"""


def test_a_full_disk_is_one_line_and_earlier_shards_stay(tmp_path):
    done = subprocess.run([sys.executable, '-c', FULL, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True)
    assert 'a shard cannot be written (' in done.stdout and 'File too large' in done.stdout and '2 records of this process' in done.stdout
    assert done.stdout.count('\n') == 1
    assert len(Reader.open(tmp_path)) == 2 and len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize('name', ['os.rename', 'tqd_jax.cache.records.write_index', 'os.fsync', 'tqd_jax.cache.records.start_part'])
def test_every_step_may_fail_and_leaves_nothing(tmp_path, monkeypatch, name):
    def fail(*arguments):
        raise OSError(28, 'No space left on device')
    monkeypatch.setattr(name, fail)
    with pytest.raises(UserError, match='No space left on device'):
        write(tmp_path, range(2))
    assert list(tmp_path.iterdir()) == []


def test_records_that_did_not_arrive_are_no_shard(tmp_path, monkeypatch):
    monkeypatch.setattr('tqd_jax.cache.records.ArrayRecordReader', lambda path: type('Short', (), {'num_records': lambda self: 1})())
    with pytest.raises(UserError, match='1 of 2 records arrived'):
        write(tmp_path, range(2))
    assert list(tmp_path.iterdir()) == []


def test_several_writers_at_once(tmp_path):
    threads = [threading.Thread(target=write, args=(tmp_path, range(n * 5, n * 5 + 5), n)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_there(tmp_path, range(20))
