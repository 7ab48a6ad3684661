"""Measured rows by content: there for whoever opens the file next, and for the very file, content and version that they are of."""
import contextlib
import os
import sqlite3
import subprocess
import sys
import threading

import pytest
import small

from tqd_jax.scoring.store import RowStore

ROW = {'id': 'aa', 'motion': 0.1 + 0.2, 'motion_codec': None, 'fingerprint': 'ü'}


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'rows.store'


def test_a_row_comes_back_exactly_and_after_closing(path):
    with RowStore(path, '1') as store:
        assert store.row('a.mp4', 's') is None and not store.has('aa') and store.of('aa') is None
        store.add('a.mp4', 's', ROW)
    with RowStore(path, '1') as store:
        assert store.row('a.mp4', 's') == ROW and store.has('aa')
        assert store.of('aa') == {name: value for name, value in ROW.items() if name != 'id'}
    with pytest.raises(sqlite3.ProgrammingError):
        store.has('aa')


def test_a_changed_file_must_be_measured_and_a_copy_is_told_by_its_content(path):
    with RowStore(path, '1') as store:
        store.add('a.mp4', 's', ROW)
        assert store.row('a.mp4', 't') is None and store.row('b.mp4', 's') is None
        store.add('b.mp4', 's', {'id': 'aa'})
        assert store.row('b.mp4', 's') == ROW
        store.add('a.mp4', 't', {'id': 'bb', 'motion': 2.0})
        assert store.row('a.mp4', 't') == {'id': 'bb', 'motion': 2.0} and store.row('a.mp4', 's') is None
        assert store.row('b.mp4', 's') == ROW


def test_versions_live_side_by_side(path):
    with RowStore(path, '1') as one, RowStore(path, '2') as two:
        one.add('a.mp4', 's', ROW)
        assert two.row('a.mp4', 's') is None and not two.has('aa')
        two.add('a.mp4', 's', {'id': 'aa', 'motion': 9.0})
        assert one.row('a.mp4', 's') == ROW and two.row('a.mp4', 's') == {'id': 'aa', 'motion': 9.0}


def test_what_is_kept_by_content_alone_is_of_no_file(path):
    with RowStore(path, '1') as store:
        store.put('aa', {'light': 1.0})
        assert store.has('aa') and store.of('aa') == {'light': 1.0} and store.row('a.mp4', 's') is None


def test_a_reason_is_of_the_content_where_that_could_be_read_and_else_of_the_file_until_forgotten(path):
    with RowStore(path, '1') as store:
        store.add('bad.mp4', 's', {'id': 'aa', 'reason': 'not a video'})
        store.add('slow.mp4', 's', {'reason': 'took longer than 3 s'})
        assert store.has('aa') and store.row('bad.mp4', 's') == {'id': 'aa', 'reason': 'not a video'}
        assert store.row('slow.mp4', 's') == {'reason': 'took longer than 3 s'} and store.row('slow.mp4', 't') is None
        store.forget_unread()
        assert store.row('slow.mp4', 's') is None and store.row('bad.mp4', 's')['reason'] == 'not a video'


def test_another_process_sees_a_row_at_once_and_it_survives_the_writers_death(path):
    die = 'import os, sys; from tqd_jax.scoring.store import RowStore; ' \
          "RowStore(sys.argv[1], '1').add('a.mp4', 's', {'id': 'aa', 'motion': 1.0}); os.kill(os.getpid(), 9)"
    with RowStore(path, '1') as store:
        assert subprocess.run([sys.executable, '-c', die, str(path)], cwd=small.ROOT).returncode == -9
        assert store.row('a.mp4', 's') == {'id': 'aa', 'motion': 1.0}


def test_a_reader_is_not_kept_waiting_by_a_writer(path):
    with RowStore(path, '1') as store, contextlib.closing(sqlite3.connect(path)) as writer:
        store.add('a.mp4', 's', ROW)
        writer.execute('BEGIN IMMEDIATE')
        assert store.has('aa')


def test_a_file_of_another_kind_is_refused_and_left_alone(path):
    path.write_text('a table of numbers\n' * 100)
    size = os.path.getsize(path)
    with pytest.raises(sqlite3.DatabaseError):
        RowStore(path, '1')
    assert os.path.getsize(path) == size


def test_a_new_store_waits_for_another_that_is_being_made(path):
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute('BEGIN IMMEDIATE')  # as two processes of a pool that open the store at the same time
        end = threading.Timer(0.3, other.execute, ['COMMIT'])
        end.start()
        with RowStore(path, '1') as store:
            assert not store.has('aa')
        end.join()
