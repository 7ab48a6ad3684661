"""A plan: topologies, results that are kept, the search, and the command on a small config from end to end."""
import dataclasses
import json
import re
import sys

import jax
import jax.numpy as jnp
import pytest
from quick import quick_to_compile

from configs import pixels, wan
from tqd_jax import plan
from tqd_jax.config import Config
from tqd_jax.planning import compiled as compiling
from tqd_jax.planning.beside import sampling_program
from tqd_jax.planning.candidates import Candidate
from tqd_jax.planning.chips import CHIPS
from tqd_jax.planning.compiled import Kept, Memory
from tqd_jax.planning.programs import executed_as, mesh_of
from tqd_jax.planning.search import has_room, search
from tqd_jax.planning.sizes import checked
from tqd_jax.planning.topology import devices_of, read_topologies, read_topology
from transfer_jax.runtime.config import instance, override
from transfer_jax.runtime.errors import UserError

SMALL = {'init_from': None, 'model.preset': 'medium', 'data.buckets': ((16, 16, 4),), 'train.batch': 4, 'train.steps': 100}
ROOM = Memory(arguments=1.0, temporaries=2.0, results=0.0, whole=3.0, peak=2.5)


def config_of(module, **changes):
    return override(instance(Config, module.get_config()), changes)


@pytest.mark.parametrize(('text', 'devices', 'hbm'), [('v5e:1x1', 1, 15.75), ('v6e:2x4', 8, 31.25), ('2*v5e:4x4', 32, 15.75),
                                                      ('tpu7x:2x2x1', 8, 94.75), ('h100:8', 8, 79.0)])
def test_a_topology_is_read(text, devices, hbm):
    found = read_topology(text)
    assert (found.devices, found.hbm, found.name) == (devices, hbm, text)


@pytest.mark.parametrize(('names', 'memory', 'message'), [
    (['v5e'], None, 'v5e:2x2, v5p:2x2x1'), (['v5e:2x2x1'], None, 'along 2 axes, as in v5e:2x2'),
    (['v5e:3'], None, 'along 2 axes'), (['v5p:2x2'], None, 'along 3'),
    (['h100:2x4'], None, 'along 1 axis, as in h100:8'), (['v9:2x2'], None, 'not known'), (None, None, 'say what'),
    (['v5e:1x1'], 80, 'GiB of a GPU'), (['2*h100:8'], None, 'h100:16'), (['v5e:0x1'], None, 'not known')])
def test_what_is_no_topology_is_one_line(names, memory, message):
    with pytest.raises(UserError, match=re.escape(message)) as error:
        read_topologies(names, memory)
    assert '\n' not in str(error.value)


def test_without_libtpu_one_line_says_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, 'libtpu', None)
    with pytest.raises(UserError, match=r"pip install 'tqd-jax\[tpu\]'"):
        devices_of(read_topology('v5e:1x1'))


def test_every_chip_has_rates_and_a_source():
    for chip in CHIPS.values():
        assert read_topology(chip.example).chip == chip and chip.published
        assert min(chip.flops, chip.hbm, chip.bandwidth, chip.link, chip.network) > 0 and 0 < chip.mfu < 1


def test_no_program_is_compiled_twice(tmp_path, monkeypatch):
    lowered, kept = lambda: jax.jit(lambda x: x @ x).lower(jnp.ones((64, 64))), Kept(tmp_path)
    first = kept.get({'program': 'square', 'size': 64}, lowered)
    assert first.arguments == pytest.approx(64 * 64 * 4 / 2**30, abs=1e-3) and not first.refused
    monkeypatch.setattr(compiling, 'measure', lambda *_: pytest.fail('compiled again'))
    assert kept.get({'program': 'square', 'size': 64}, lowered) == first
    assert kept.find({'program': 'square', 'size': 65}) is None
    monkeypatch.setattr(compiling, 'versions', lambda: {'jax': 'another'})
    assert kept.find({'program': 'square', 'size': 64}) is None


@pytest.mark.parametrize(('message', 'need'), [
    ('RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Used 93.50G of 15.75G hbm. Exceeded', 93.5),
    ('RESOURCE_EXHAUSTED: the total memory required for HLO temporaries (512.00M) exceeds available HBM (15.75G).', 0.5)])
def test_a_refusal_says_how_much_was_asked_for(message, need):
    class Refused:
        def compile(self, options):
            raise jax.errors.JaxRuntimeError(message)

    memory = compiling.measure(Refused())
    assert memory.refused and memory.whole == need


def searched(monkeypatch, tmp_path, measure, topology='gpu:2', **changes):
    """The Answer for a small config where `measure` of a candidate stands for compiling it, and the candidates in their order."""
    seen = []

    def get(self, parts, lower, options=None):
        run = lower.args[0]
        seen.append((run.mesh.data, run.mesh.fsdp, run.mesh.context, run.model.remat, run.train.accumulate))
        return measure(run)

    monkeypatch.setattr(Kept, 'get', get)
    config, found = checked(config_of(pixels, **{**SMALL, **changes})), read_topology(topology)
    return search(config, found, jax.devices()[:found.devices], Kept(tmp_path), lambda line: None), seen


def test_the_fastest_that_fits_is_found_and_slower_ones_are_not_compiled(monkeypatch, tmp_path):
    big = dataclasses.replace(ROOM, whole=100.0)
    answer, seen = searched(monkeypatch, tmp_path, lambda run: big if run.model.remat == 'none' and run.train.accumulate == 1 else ROOM)
    assert answer.best.fits and len(seen) == len(answer.tried) and seen[-1][3:] == (answer.best.candidate.remat,
                                                                                   answer.best.candidate.accumulate)
    steps = [choice.step for choice in answer.tried]
    assert steps == sorted(steps) and answer.over == 0


def test_where_nothing_fits_it_is_said_by_how_much(monkeypatch, tmp_path):
    answer, _ = searched(monkeypatch, tmp_path, lambda run: dataclasses.replace(ROOM, whole=100.0, refused=True))
    assert not answer.best.fits and answer.over == pytest.approx(100.0 - answer.topology.hbm)


def test_the_sum_decides_also_where_a_compiler_refuses_nothing():
    v5e = read_topology('v5e:1x1')
    assert has_room(dataclasses.replace(ROOM, whole=15.7), v5e) and not has_room(dataclasses.replace(ROOM, whole=18.2), v5e)
    assert not has_room(dataclasses.replace(ROOM, refused=True), v5e)


def test_a_candidate_is_the_config_that_runs_it():
    candidate = Candidate(data=1, fsdp=2, context=1, remat='dots', batch=4, accumulate=2)
    config = executed_as(config_of(pixels, **SMALL), candidate)
    assert (config.model.remat, config.train.accumulate, config.mesh.fsdp, config.mesh.data) == ('dots', 2, 2, 1)


def test_the_command_plans_a_small_config_and_a_second_time_compiles_nothing(tmp_path, capsys, monkeypatch):
    """The real step, on a CPU device in place of a GPU."""
    config = config_of(pixels, **SMALL)
    arguments = dict(topology=None, gpu_memory=80.0, price=2.0, mfu=0.5, programs=['train'], output=str(tmp_path))
    with quick_to_compile():
        plan.main(config, **arguments)
    first = capsys.readouterr().out
    assert 'compiling 16x16x4 for gpu:1' in first and 'cannot know' in first and '50.0 % of 989 TFLOP/s' in first
    record = json.loads((tmp_path / 'plan.json').read_text())['topologies'][0]
    training = record['training']['best']
    memory = training['memory'][0]
    assert training['fits'] and memory['whole'] == pytest.approx(memory['arguments'] + memory['temporaries'] + memory['results'], abs=2e-3)
    assert record['cost'] == pytest.approx(record['hours'] * 2.0) and record['hours'] == pytest.approx(record['step_seconds'] / 36)
    assert all((tmp_path / f'plan.{kind}').stat().st_size for kind in ('png', 'svg', 'html'))
    monkeypatch.setattr(compiling, 'measure', lambda *_: pytest.fail('compiled again'))
    plan.main(config, **arguments)
    again = capsys.readouterr().out
    assert 'compiling' not in again and again.splitlines()[-2:] == first.splitlines()[-2:]


def test_a_sample_is_lowered_as_it_is_drawn():
    """Without the guided step being compiled: a state of the solver comes in and goes out."""
    config = config_of(pixels, **SMALL, **{'sample.batch': 3})
    lowered = sampling_program(config, mesh_of({'data': 1, 'fsdp': 1, 'context': 1}, jax.devices()[:1]), (16, 16, 4))
    assert lowered.out_info.x.shape == (3, 4, 16, 16, 3)


def test_what_was_compiled_before_ctrl_c_is_kept(tmp_path, capsys, monkeypatch):
    calls = []

    def measure(lowered, options=None):
        calls.append(lowered)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return ROOM

    monkeypatch.setattr(compiling, 'measure', measure)
    monkeypatch.setattr(plan.os, '_exit', lambda code: (_ for _ in ()).throw(SystemExit(code)))
    config = config_of(pixels, **{**SMALL, 'data.buckets': ((16, 16, 4), (32, 16, 4))})
    with pytest.raises(SystemExit) as stopped:
        plan.main(config, topology=['gpu:1'], gpu_memory=80.0, price=None, mfu=None, programs=['train'], output=str(tmp_path))
    assert stopped.value.code == 130 and 'the same command goes on' in capsys.readouterr().out
    kept, = (tmp_path / 'compiled').iterdir()
    assert json.loads(kept.read_text())['program']['bucket'] == [32, 16, 4]  # the largest comes first


def test_what_the_command_refuses(tmp_path):
    config = config_of(wan)
    arguments = dict(topology=['v5e:1x1'], gpu_memory=None, price=None, mfu=None, programs=['train'], output=str(tmp_path))
    for changes, message in (({'price': -1.0}, '--price'), ({'mfu': 1.5}, '--mfu'), ({'programs': ['vea']}, 'vae'),
                             ({'topology': ['v5e:1x']}, 'v5e:2x2')):
        with pytest.raises(UserError, match=message):
            plan.main(config, **{**arguments, **changes})
    nothing = dataclasses.replace(config, wan=dataclasses.replace(config.wan, sizes=None))
    with pytest.raises(UserError, match=r'config\.wan\.path'):
        checked(nothing)
