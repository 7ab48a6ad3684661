"""python -m tqd_jax.score as a process: killed and started again, flat in memory, one line for a full disk and for a stop."""
import os
import signal
import sqlite3
import subprocess
import sys
import time
from unittest import mock

import pyarrow.parquet
import pytest
import small
from score_job import NAMES, run

from tqd_jax import score as program
from tqd_jax.scoring.measures import VERSION
from tqd_jax.scoring.store import RowStore


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
    """Twenty-four small clips, the last of them a copy of the first, and a file that is no video."""
    folder = small.moving(tmp_path_factory.mktemp('clips'), NAMES, size=(144, 192), seconds=1.5)
    (folder / NAMES[-1]).write_bytes((folder / NAMES[0]).read_bytes())
    (folder / 'text.mp4').write_bytes(b'not a video')
    return folder


SUICIDE = '''
import itertools, os, runpy, sys
from tqd_jax.scoring.store import RowStore
put, count, last = RowStore.put, itertools.count(1), int(sys.argv.pop(1))

def put_then_die(store, *row):
    put(store, *row)
    if next(count) == last:
        os.kill(os.getpid(), 9)

RowStore.put = put_then_die
runpy.run_module('tqd_jax.score', run_name='__main__', alter_sys=True)
'''


def start(*arguments, last_row=None):
    """The running program; last_row: it kills itself when it has stored so many rows."""
    how = ['-m', 'tqd_jax.score'] if last_row is None else ['-c', SUICIDE, str(last_row)]
    command = [sys.executable, *how, '--noreport', *arguments]
    return subprocess.Popen(command, cwd=small.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def finish(process):
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def stored_ids(store):
    """The ids that were written to the store, in that order, one for each write."""
    base = sqlite3.connect(store)
    try:
        return [name for name, in base.execute('SELECT id FROM written ORDER BY rowid')]
    finally:
        base.close()


def log_writes(store):
    """Makes an empty store that logs the id of every row that any process writes."""
    with RowStore(store, VERSION):
        base = sqlite3.connect(store)
    base.executescript('CREATE TABLE written (id TEXT); CREATE TRIGGER log AFTER INSERT ON rows BEGIN '
                       'INSERT INTO written VALUES (new.id); END;')
    base.close()


def ends(session):
    """Whether all processes of a session end soon."""
    for _ in range(100):
        try:
            os.killpg(session, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.long
def test_killed_again_and_again_it_loses_no_row_and_writes_the_same_table(clips, tmp_path):
    run(tmp_path / 'straight' / 'scores.parquet', clips=str(clips))
    output, store = tmp_path / 'scores.parquet', tmp_path / 'scores.parquet.store'
    log_writes(store)
    for last_row, count in (2, 2), (11, 13):
        process = start(f'--clips={clips}', f'--output={output}', '--workers=2', last_row=last_row)
        assert finish(process)[0] == -signal.SIGKILL and not output.exists()
        assert len(stored_ids(store)) == count and ends(process.pid)
    before = stored_ids(store)
    assert finish(start(f'--clips={clips}', f'--output={output}', '--workers=2'))[0] == 0
    assert output.read_bytes() == (tmp_path / 'straight/scores.parquet').read_bytes()
    ids = pyarrow.parquet.read_table(output)['id'].to_pylist()
    again = stored_ids(store)[len(before):]
    assert not set(again) & set(before) and set(before + again) == set(ids)
    assert len(ids) == len(NAMES) + 1 and len(set(ids)) == len(NAMES)


FLAT = r'''
import functools, pathlib, re, sys
import pyarrow as pa, pyarrow.parquet
from tqd_jax.scoring import engine, table
from tqd_jax.scoring.measures import MEASURES

made_up = {m.name: 0.123456789 for m in MEASURES} | {'motion': 0.1, 'visual': 0.2, 'width': 64, 'height': 64, 'fps': 8.0, 'duration': 1.0,
                                                     'fingerprint': 'ab' * 32}

def measure(paths):
    return ((path, made_up | {'id': f'{hash(path):032x}'}) for path in paths)

for count in (100, 10_000):
    paths, base = [f'/nowhere/{number}.mp4' for number in range(count)], pathlib.Path(sys.argv[1]) / str(count)
    engine.score_clips(paths, base, measure=measure)
    rows = functools.partial(engine.rows, paths, base)
    _, scored = table.write_scores(f'{base}.parquet', pa.table({'clip': paths}), rows)
    again = sum(1 for _ in table.rows_of(pa.parquet.read_table(f'{base}.parquet')))
    peak = re.search(r'VmHWM:\s+(\d+)', pathlib.Path('/proc/self/status').read_text())[1]  # ru_maxrss begins with the parent's
    print(count, scored, again, int(peak) // 1024)
'''


def test_memory_is_flat_in_the_number_of_clips(tmp_path):
    out = subprocess.run([sys.executable, '-c', FLAT, str(tmp_path)], cwd=small.ROOT, check=True, capture_output=True, text=True).stdout
    few, many = ([int(number) for number in line.split()] for line in out.splitlines())
    assert few[:3] == [100] * 3 and many[:3] == [10_000] * 3
    assert many[3] - few[3] < 40, f'{few[3]} MB, then {many[3]} MB'


@pytest.mark.parametrize('error, code, message', [(OSError(28, 'No space left on device'), 2, 'error: [Errno 28] No space'),
                                               (sqlite3.OperationalError('database or disk is full'), 2, 'error: database or disk is full'),
                                               (KeyboardInterrupt(), 130, 'stopped; the same command goes on')])
def test_a_full_disk_and_a_stop_are_one_line(monkeypatch, capsys, error, code, message):
    monkeypatch.setattr(program, 'run', mock.Mock(side_effect=error))
    with pytest.raises(SystemExit) as stop:
        program.main(['score'])
    err = capsys.readouterr().err
    assert stop.value.code == code and err.startswith(message) and err.count('\n') == 1


def test_a_misspelt_flag_ends_the_process_with_one_line_and_code_2():
    code, _, err = finish(start('--clisp=/nowhere'))
    assert code == 2 and err.startswith('error: Unknown command line flag') and err.count('\n') == 1
