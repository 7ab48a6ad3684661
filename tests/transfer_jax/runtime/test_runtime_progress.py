"""Progress is readable in a log and on a terminal; signals ask for a stop, and insist the second time."""
import io
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from transfer_jax.runtime import progress
from transfer_jax.runtime.parallel.stops import check_stop
from transfer_jax.runtime.progress import Progress, Stopped, StopRequest, stop_is_requested


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_log_gets_a_line_every_tenth(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(progress.time, 'monotonic', lambda: next(clock) / 8)
    log = io.StringIO()
    with Progress(600, start=100, label='train', file=log) as bar:
        for step in range(500):
            bar.update(loss=f'{1 / (step + 1):.3f}')
    lines = log.getvalue().splitlines()
    assert len(lines) == 9 and '\r' not in log.getvalue()
    assert lines[0] == 'train: 160/600, 8.00 step/s, 00:55 left, loss=0.017'
    assert lines[-1].startswith('train: 600/600, ') and '00:00 left' in lines[-1]


def test_a_log_gets_a_line_every_ten_seconds(monkeypatch):
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr(progress.time, 'monotonic', lambda: next(clock))
    log = io.StringIO()
    bar = Progress(10**6, label='score', unit='clip', file=log)
    for _ in range(8):
        bar.update()
    assert re.findall(r'score: (\d+)/1000000', log.getvalue()) == ['3', '6']


def test_a_terminal_gets_a_bar():
    terminal = Terminal()
    with Progress(10, start=4, label='train', file=terminal) as bar:
        bar.update(6, loss='0.5')
    last = terminal.getvalue().split('\r')[-1]
    assert 'train: 100 %|' in last and '10/10' in last and 'loss=0.5' in last and 'left' in last


def test_a_skip_counts_but_does_not_enter_the_rate(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(progress.time, 'monotonic', lambda: next(clock))
    log, terminal = io.StringIO(), Terminal()
    with Progress(1000, start=100, label='study', file=log) as bar:
        bar.skip(500)
        bar.update(100)
    assert log.getvalue() == 'study: 700/1000, 100.00 step/s, 00:03 left\n'
    with Progress(1000, label='study', file=terminal) as bar:
        bar.skip(900)
        bar.update(100)
    assert '1000/1000' in terminal.getvalue().split('\r')[-1]


def test_without_progress_the_time_left_is_a_question_mark(monkeypatch):
    clock = iter(range(0, 1000, 15))
    monkeypatch.setattr(progress.time, 'monotonic', lambda: next(clock))
    log = io.StringIO()
    bar = Progress(100, start=20, label='score', unit='clip', file=log)
    bar.update(0)
    bar.update(30)
    bar.skip(20)
    bar.update(0)
    bar.skip(30)
    bar.update(0)
    assert log.getvalue().splitlines() == ['score: 20/100, 0.00 clip/s, ? left', 'score: 50/100, 2.00 clip/s, 00:25 left',
                                           'score: 70/100, 0.00 clip/s, ? left', 'score: 100/100, 0.00 clip/s, 00:00 left']


def test_a_first_update_that_compiles_does_not_enter_the_rate(monkeypatch):
    seconds = iter([0, 100, 100, *range(101, 200)])  # the first one takes 100 s, the others 1 s
    monkeypatch.setattr(progress.time, 'monotonic', lambda: next(seconds))
    log, terminal = io.StringIO(), Terminal()
    with Progress(20, label='train', file=log, warms=True) as bar:
        for _ in range(3):
            bar.update()
    assert log.getvalue() == 'train: 3/20, 1.00 step/s, 00:17 left\n'
    with Progress(20, label='train', file=terminal, warms=True) as bar:
        bar.update()
        bar.update()
    assert '2/20' in terminal.getvalue().split('\r')[-1]


def test_a_bar_that_is_made_when_the_first_unit_is_done_counts_its_time(monkeypatch):
    monkeypatch.setattr(progress.time, 'monotonic', lambda: 50.0)
    log = io.StringIO()
    with Progress(10, label='score', unit='clip', file=log, since=30.0) as bar:
        bar.update(2)
    assert log.getvalue() == 'score: 2/10, 0.10 clip/s, 01:20 left\n'


def test_nothing_to_do_is_done_at_once():
    log = io.StringIO()
    with Progress(0, label='score', unit='clip', file=log) as bar:
        bar.update(0)
    assert log.getvalue() == 'score: 0/0, 0.00 clip/s, 00:00 left\n'


def test_the_first_signal_is_a_flag_and_handlers_come_back():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    for number in (signal.SIGTERM, signal.SIGINT):
        with StopRequest() as stop:
            assert not stop.requested
            os.kill(os.getpid(), number)
            assert stop.requested
    assert before == (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))


def test_a_stop_is_checked_where_a_request_is_listened_for():
    check_stop()
    with StopRequest() as outer, StopRequest() as inner:
        check_stop()
        inner.request()
        assert outer.requested and stop_is_requested()
        with pytest.raises(Stopped):
            check_stop()
    assert not stop_is_requested()
    check_stop()


WAITING = """
import time
from transfer_jax.runtime.progress import StopRequest
with StopRequest() as stop:
    print('ready', flush=True)
    while not stop.requested:
        time.sleep(0.01)
    print('request', flush=True)
    time.sleep(60)
"""


def test_the_second_signal_ends_the_process():
    process = subprocess.Popen([sys.executable, '-c', WAITING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == 'ready\n'
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == 'request\n'
    assert 'a second signal stops at once' in process.stderr.readline() + process.stderr.readline()
    start = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == -signal.SIGTERM and time.monotonic() - start < 10
    process.stdout.close()
    process.stderr.close()
