"""Scalars come back from both files, a resume leaves no step twice, and a kill in the middle of a line harms nothing."""
import json
import math
import time

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

from transfer_jax.runtime.metrics import FILE, Metrics, read_metrics


def board(workdir):
    """The events of every TensorBoard file, decoded by the framing of TFRecord: u64 length, u32 crc, payload, u32 crc."""
    events = []
    for path in sorted((workdir / 'tensorboard').iterdir()):
        data = path.read_bytes()
        while data:
            length = int.from_bytes(data[:8], 'little')
            events.append(Event.FromString(data[12:12 + length]))
            data = data[16 + length:]
    return events


def test_both_files_hold_all_scalars(tmp_path):
    with Metrics(tmp_path / 'run') as metrics:
        metrics.write(1, {'loss': np.float32(0.25), 'lr': 1e-4})
        metrics.write(2, {'loss': math.nan, 'norm': math.inf})
    assert read_metrics(tmp_path / 'run' / FILE) == [{'step': 1, 'loss': 0.25, 'lr': 1e-4}, {'step': 2, 'loss': None, 'norm': None}]
    for line in (tmp_path / 'run' / FILE).read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f'{name} is no JSON'))
    values = [(event.step, value.tag, value.simple_value) for event in board(tmp_path / 'run') for value in event.summary.value]
    assert values[:2] == [(1, 'loss', 0.25), (1, 'lr', pytest.approx(1e-4))]
    assert values[2][:2] == (2, 'loss') and math.isnan(values[2][2])


def test_lines_are_on_disk_before_close(tmp_path):
    with Metrics(tmp_path) as metrics:
        metrics.write(1, {'loss': 1.0})
        assert len(read_metrics(tmp_path / FILE)) == 1
        deadline = time.monotonic() + 20  # TensorBoard's events pass through a thread
        while not any(event.step == 1 for event in board(tmp_path)):
            assert time.monotonic() < deadline
            metrics.flush()


def test_a_resume_deletes_records_that_it_will_write_again(tmp_path):
    with Metrics(tmp_path) as metrics:
        for step in range(1, 8):
            metrics.write(step, {'loss': step})
    with (tmp_path / FILE).open('a') as file:
        file.write('{"step": 8, "lo')
    assert len(read_metrics(tmp_path / FILE)) == 7
    with Metrics(tmp_path, start_step=5) as metrics:
        metrics.write(5, {'loss': -5})
    assert [(record['step'], record['loss']) for record in read_metrics(tmp_path / FILE)] == [(1, 1), (2, 2), (3, 3), (4, 4), (5, -5)]
    purges = [event.step for event in board(tmp_path) if event.session_log.status == SessionLog.START]
    assert purges == [5]


def test_no_file_no_records(tmp_path):
    assert read_metrics(tmp_path / FILE) == []
