"""Speed and share of waiting are those of the steps alone, and the rate that is written is the one of the step."""
import pathlib
import types

import numpy as np
import optax
import pytest

import tqd_jax.training.loop as loop
from tqd_jax.training.log import HISTOGRAM_BINS, throughput
from tqd_jax.training.resume import Start
from transfer_jax.runtime.speed import clock as speed

BATCH, WAIT, STEP, EVALUATION, SAVING = 4, 1.0, 3.0, 500.0, 7000.0  # seconds of a clock that only these move
FLOPS, DEVICES, PEAK = 24e12, 2, 12e12


class Clock:
    """Seconds that pass where something is done."""
    now = 0.0

    def perf_counter(self):
        return self.now

    def time(self):
        return self.now

    def passes(self, seconds, value=None):
        self.now += seconds
        return value


def outputs(step):
    each = np.zeros(BATCH)
    return {'loss': 1.0, 'grad_norm': 1.0, 't': each, 'loss_per_example': each, 'clip': each.astype(int)}


@pytest.fixture
def written(monkeypatch):
    """{step: scalars} of a loop of twelve steps with two evaluations, one of them between two lines, and one checkpoint on the way."""
    clock, lines = Clock(), {}
    monkeypatch.setattr(speed, 'time', clock)
    monkeypatch.setattr(loop, 'flops_of_steps', lambda run: {0: FLOPS})
    monkeypatch.setattr(loop, 'peak', lambda device: PEAK)
    monkeypatch.setattr(loop, 'compile_train', lambda run: {0: lambda state, frozen, batch: clock.passes(STEP, (state, outputs(0)))})
    monkeypatch.setattr(loop, 'compile_eval', lambda run: None)
    monkeypatch.setattr(loop, 'validation_batches', lambda *args: None)
    monkeypatch.setattr(loop, 'make_batches', lambda *args: None)
    monkeypatch.setattr(loop, 'iterate', lambda *args, **options: (clock.passes(WAIT, types.SimpleNamespace(clip=[0])) for _ in range(12)))
    monkeypatch.setattr(loop, 'to_global', lambda arrays, mesh: arrays)
    monkeypatch.setattr(loop, 'extras_of', lambda *args: {})
    monkeypatch.setattr(loop, 'Evaluations', lambda *args: types.SimpleNamespace(add=lambda *args: clock.passes(EVALUATION)))
    each = lambda **values: types.SimpleNamespace(**values)
    config = each(train=each(steps=12, batch=BATCH), data=each(workers=0, prefetch=1), checkpoint=each(every=8), eval=each(every=5),
                  sample=each(every=None), profile=each(steps=None), log_every=2)
    library = each(bucket=np.zeros(1, int), mq=np.zeros(1), vq=np.zeros(1))
    run = each(config=config, library=library, objective=each(t_range=(0.0, 1.0)), loader=None, validation=None, training=None,
               mesh=each(size=DEVICES, devices=np.zeros(DEVICES)), workdir=pathlib.Path('/'), folder=pathlib.Path('/'), label='train',
               schedule=optax.linear_schedule(0.0, 12.0, 12))
    checkpoints = each(begin=lambda *args: clock.passes(SAVING))
    metrics = each(write=lambda step, scalars: lines.update({step: scalars}), flush=lambda: None)
    start = Start(state=each(average=None), frozen={}, step=0, histogram=np.zeros((4, HISTOGRAM_BINS), np.int64))
    loop._loop(run, start, checkpoints, metrics, speed.Clock(), True)
    return lines


def test_evaluation_and_saving_are_no_time_of_the_steps(written):
    assert list(written) == [2, 4, 6, 8, 10, 12]
    for scalars in written.values():
        assert scalars['examples_per_second'] == pytest.approx(BATCH / (WAIT + STEP))
        assert scalars['wait_share'] == pytest.approx(WAIT / (WAIT + STEP))


def test_flops_are_those_of_the_steps_on_each_device(written):
    for scalars in written.values():
        assert scalars['step_seconds'] == pytest.approx(WAIT + STEP)
        assert scalars['tflops_per_device'] == pytest.approx(FLOPS / (WAIT + STEP) / DEVICES / 1e12)
        assert scalars['mfu'] == pytest.approx(FLOPS / (WAIT + STEP) / DEVICES / PEAK)


def test_all_time_is_told_apart(written):
    last = written[12]  # the evaluations at steps 0, 5 and 10; the one at the end comes after the line
    seconds = {'step': 12 * STEP, 'wait': 12 * WAIT, 'evaluate': 3 * EVALUATION, 'save': SAVING}
    assert {kind: last[f'time/{kind}'] for kind in speed.KINDS} == pytest.approx({**dict.fromkeys(speed.KINDS, 0.0), **seconds})
    assert last['goodput'] == pytest.approx(12 * STEP / sum(seconds.values()))


def test_the_rate_that_is_written_is_that_of_the_step(written):
    """The n-th step is number n - 1 of the schedule."""
    assert [scalars['learning_rate'] for scalars in written.values()] == pytest.approx([1, 3, 5, 7, 9, 11])


def test_throughput_is_of_the_measured_seconds():
    assert throughput(40, 8.0, 2.0) == {'examples_per_second': 5.0, 'wait_share': 0.25}
