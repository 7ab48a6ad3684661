"""The clock tells a run's time apart over all its starts; traces hold the steps that were asked for; rates are of the devices."""
import gzip
import json
import os
import re
import types

import jax
import jax.numpy as jnp
import pytest
from jax._src import compiler  # where JAX tells XLA its folder

from transfer_jax.runtime.paths import path_of
from transfer_jax.runtime.speed import clock as module
from transfer_jax.runtime.speed import kept
from transfer_jax.runtime.speed.clock import KINDS, Clock, table
from transfer_jax.runtime.speed.rates import PEAKS, memory, peak, rates
from transfer_jax.runtime.speed.trace import Trace


class Time:
    """Seconds that a test moves."""
    now = 100.0

    def time(self):
        return self.now

    perf_counter = time


@pytest.fixture
def time(monkeypatch):
    monkeypatch.setattr(module, 'time', Time())
    return module.time


def lived(time, clock, first, last):
    """The records of the steps from `first` to `last` of a start: 2 s to compile; steps of 3 s, with 1 s of waiting each."""
    records = []
    with clock.spent('begin'):
        time.now += 2
    for step in range(first, last + 1):
        with clock.spent('wait'):
            time.now += 1
        time.now += 3
        records.append({'step': step, **clock.scalars()})
    return records


def test_what_a_kill_undid_and_the_time_between_starts_are_told_apart(time):
    records = lived(time, Clock(), 1, 5)
    time.now += 50
    clock = Clock(records, step=2)
    records = records[:2] + lived(time, clock, 3, 6)
    seconds = {'step': 6 * 3, 'repeated': 3 * 3, 'wait': 5 + 4, 'begin': 4, 'away': 50, 'evaluate': 0, 'save': 0}
    assert clock.seconds == pytest.approx(seconds)
    assert sum(seconds.values()) == time.now - 100 and clock.goodput == pytest.approx(18 / sum(seconds.values()))
    rows = table([*records, {'step': 6, 'val/loss': 1.0}])
    assert {what: value for what, value, _ in rows} == pytest.approx({KINDS[kind]: value for kind, value in seconds.items() if value})
    assert sum(share for _, _, share in rows) == pytest.approx(1)
    assert table([]) == table([{'step': 1, 'loss': 2.0}]) == []


def test_killed_before_its_first_save_all_steps_are_lost(time):
    clock = Clock(lived(time, Clock(), 1, 4), step=0)
    assert clock.seconds['step'] == 0 and clock.seconds['repeated'] == pytest.approx(12)


def test_rates_are_of_each_device():
    assert rates(8e12, 2.0, 4, None) == {'tflops_per_device': 1.0}
    assert rates(8e12, 2.0, 4, 2e12) == {'tflops_per_device': 1.0, 'mfu': 0.5}
    kind = lambda name: types.SimpleNamespace(device_kind=name)
    assert peak(kind('TPU v5')) == 459e12 and peak(kind('no such chip')) is None and min(PEAKS.values()) > 1e14
    assert memory(jax.devices()[0]) is None, 'a CPU does not say'


def test_a_trace_has_the_steps_asked_for(tmp_path, capsys):
    step = jax.jit(lambda x: x + 1)
    x, trace = step(jnp.zeros(3)), Trace(tmp_path, (3, 4))
    for number in range(1, 7):
        trace.before(number, x)
        with jax.profiler.StepTraceAnnotation('train', step_num=number):
            x = step(x)
    trace.after(6, x)
    out = capsys.readouterr().out
    assert out.count('\n') == 1 and f'trace of steps 3 to 4: {tmp_path}; to open it' in out
    file, = tmp_path.rglob('*.trace.json.gz')
    events = json.loads(gzip.decompress(file.read_bytes()))['traceEvents']
    steps = {match[0] for event in events if event.get('name') == 'train' for match in [re.search('[0-9]+', str(event['args']))]}
    assert steps == {'3', '4'}


def test_a_trace_that_the_end_cuts_is_whole(tmp_path, capsys):
    trace = Trace(tmp_path, (2, 9))
    for number in (1, 2, 3):
        trace.before(number, jnp.zeros(3))
    trace.after(3, jnp.zeros(3))
    assert 'trace of steps 2 to 3' in capsys.readouterr().out and any(tmp_path.rglob('*.trace.json.gz'))


def test_processes_of_one_machine_trace_into_folders_of_their_own(monkeypatch):
    folders = set()
    monkeypatch.setattr(jax.profiler, 'start_trace', folders.add)
    for process in (0, 1):
        monkeypatch.setattr(jax, 'process_index', lambda process=process: process)
        Trace('gs://bucket/run/profile', (1, 1)).before(1, jnp.zeros(3))
    assert len(folders) == 2


@pytest.fixture
def no_cache():
    """JAX as a user has it: without a folder for compiled programs, and with no program in memory."""
    before = getattr(jax.config, kept.SETTING)
    jax.config.update(kept.SETTING, None)
    kept.reset_cache()
    yield
    jax.config.update(kept.SETTING, before)
    kept.reset_cache()


def compiled_in(folder):
    """The kept file of a program, compiled or loaded anew."""
    jax.clear_caches()
    with kept.compiled_programs_kept(folder):  # the test session keeps programs however quickly they are compiled
        assert jax.jit(lambda x: 2 * x + 1)(jnp.arange(3.0)).tolist() == [1, 3, 5]
    file, = folder.rglob('*lambda*-cache')
    return file


def test_what_is_compiled_is_kept_and_a_damaged_file_is_written_again(no_cache, tmp_path, capsys):
    file = compiled_in(tmp_path)
    whole, written = file.stat().st_size, file.stat().st_mtime_ns
    assert compiled_in(tmp_path).stat().st_mtime_ns == written and capsys.readouterr().out == ''
    for damaged in (file.read_bytes()[:whole // 2], b''):
        file.write_bytes(damaged)
        assert compiled_in(tmp_path).stat().st_size == pytest.approx(whole, rel=0.2)
        assert capsys.readouterr().out.count('is damaged: it is removed') == 1
    assert getattr(jax.config, kept.SETTING) is None


def test_a_folder_that_the_user_has_set_holds(tmp_path):
    before = getattr(jax.config, kept.SETTING)
    with kept.compiled_programs_kept(tmp_path):
        assert getattr(jax.config, kept.SETTING) == before is not None
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize('folder, there', [('gs://bucket/run/compiled', False), ('here', True)])
def test_xla_keeps_its_own_files_in_local_folders_alone(no_cache, tmp_path, folder, there):
    before = getattr(jax.config, kept.XLA_SETTING)
    with kept.compiled_programs_kept(path_of(folder if '://' in folder else tmp_path / folder)):
        options = compiler.get_compile_options(1, 1)  # owns what follows
        build = options.executable_build_options
        debug = build.debug_options
        assert bool(debug.xla_gpu_per_fusion_autotune_cache_dir) == there
    assert getattr(jax.config, kept.XLA_SETTING) == before


def test_programs_that_nobody_loads_any_more_are_removed(no_cache, tmp_path):
    new, place = compiled_in(tmp_path), tmp_path / kept.processor()
    old, other = place / 'jit_old-0-cache', tmp_path / 'another-processor/jit_old-0-cache'
    other.parent.mkdir()
    for path in (old, other):
        path.write_bytes(b'')
        os.utime(path, times=(0, 0))
    read = place / 'jit_read-0-cache'
    read.write_bytes(b'')
    os.utime(read, times=(os.stat(place).st_mtime, 0))  # written long ago, read today
    kept.remove_unused(tmp_path)
    assert not old.exists() and not other.exists() and read.exists() and new.exists()
