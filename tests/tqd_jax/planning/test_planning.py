"""A plan against closed forms and published counts, what it searches, and the command on the tiny config from end to end."""
import dataclasses
import itertools
import json
import math
import re

import jax
import jax.numpy as jnp
import pytest

from configs import video, wan, wan22_a14b, wan22_ti2v_5b, wan_14b, wan_full
from tqd_jax import plan
from tqd_jax.config import Config
from tqd_jax.models.wan.config import CHOICES, PRESETS
from tqd_jax.planning import compiled as compiling
from tqd_jax.planning import search as searching
from tqd_jax.planning import topology as topologies
from tqd_jax.planning.candidates import Candidate, candidates, least_batch
from tqd_jax.planning.chips import CHIPS
from tqd_jax.planning.compiled import Kept, Memory
from tqd_jax.planning.cost import recomputed, times_of, training_flops, work_of
from tqd_jax.planning.estimate import bytes_of, parameters
from tqd_jax.planning.programs import executed_as, mesh_of, planned
from tqd_jax.planning.sizes import checked
from tqd_jax.planning.topology import read_topologies, read_topology
from transfer_jax.runtime.config import instance, override
from transfer_jax.runtime.errors import UserError

SMALL = {'init_from': None, 'data.buckets': ((16, 16, 4),), 'train.batch': 4, 'train.steps': 100}
AT_480, AT_720 = (21, 60, 104, 16), (21, 90, 160, 16)  # latents of 81 frames
ONE = Candidate(data=1, fsdp=1, context=1, remat='full', batch=1, accumulate=1)
ROOM = Memory(arguments=1.0, temporaries=2.0, results=0.0, whole=3.0, peak=2.5)


def config_of(module, **changes):
    return override(instance(Config, module.get_config()), changes)


@pytest.mark.parametrize(('name', 'latent', 'tera'), [('wan_1_3b', AT_480, 849), ('wan_1_3b', AT_720, 3750), ('wan_14b', AT_480, 5035),
                                                      ('wan_14b', AT_720, 19570)])
def test_flops_of_a_training_example_are_those_counted_elsewhere(name, latent, tera):
    """Three forward passes; 19,573 TFLOP is maxdiffusion's own count of the last."""
    assert training_flops(PRESETS[name], latent) / 1e12 == pytest.approx(tera, rel=2e-3)


def test_a_frozen_kernel_saves_a_third_of_its_products_and_remat_adds_to_them():
    model = PRESETS['wan_1_3b']
    whole, frozen = training_flops(model, AT_480), training_flops(model, AT_480, 0.0)
    again = {kind: recomputed(model, AT_480, kind) for kind in CHOICES['remat']}
    forward = whole / 3
    assert again['none'] == 0 and again['full'] == forward
    assert whole - frozen == pytest.approx(forward - again['dots'])  # 'dots' recomputes attention alone
    if 'attention' in again:
        assert again['attention'] + again['dots'] == pytest.approx(forward) and again['offload'] == forward


def test_the_published_step_of_14b_is_predicted_from_its_share_of_the_peak():
    """maxdiffusion: 36.0 s a step on four v5p at 29.6 % of their peak."""
    four = dataclasses.replace(ONE, context=4)
    work = work_of(PRESETS['wan_14b'], AT_720, four, trained=14_288_491_584, frozen=0, topology=read_topology('v5p:2x2x1'))
    times = times_of(work, read_topology('v5p:2x2x1'))
    assert times.step == times.compute == pytest.approx(36.0, rel=0.01)
    assert 0 < times.links < times.compute and 0 < times.memory < times.compute


def test_bytes_between_chips():
    """Of four devices with a quarter of the parameters each: gathered twice in 16 bits, gradients reduced once in 32, three quarters."""
    n, four = 10**9, dataclasses.replace(ONE, fsdp=4, batch=4)
    work = work_of(PRESETS['wan_1_3b'], AT_480, four, trained=n, frozen=0, topology=read_topology('v5p:2x2x1'))
    assert work.links == pytest.approx(0.75 * n * (2 * 2 + 4))
    copies = work_of(PRESETS['wan_1_3b'], AT_480, dataclasses.replace(four, fsdp=1, data=4), trained=n, frozen=0,
                     topology=read_topology('v5p:2x2x1'))
    assert copies.links == pytest.approx(2 * 4 * n * 0.75)  # an all-reduce sends an array twice
    assert copies.memory > work.memory and copies.flops == work.flops


@pytest.mark.parametrize(('devices', 'batch', 'heads'), [(1, 1, 12), (8, 8, 12), (8, 4, 40), (32, 8, 40)])
def test_candidates_are_all_that_divide(devices, batch, heads):
    tokens = (32760, 75600)
    found = candidates(devices, batch, heads, tokens)
    every = itertools.product(range(1, devices + 1), repeat=3)
    meshes = {(d, f, c) for d, f, c in every if d * f * c == devices and batch % (d * f) == 0 and heads % c == 0
              and all(count % c == 0 for count in tokens)}
    assert {(one.data, one.fsdp, one.context) for one in found} == meshes
    assert len(set(found)) == len(found)
    expected = {(mesh, remat, k) for mesh in meshes for remat in CHOICES['remat'] for k in range(1, batch + 1)
                if batch // (mesh[0] * mesh[1]) % k == 0}
    assert {((one.data, one.fsdp, one.context), one.remat, one.accumulate) for one in found} == expected
    assert all(one.rows * one.accumulate * one.data * one.fsdp == batch for one in found)


def test_a_batch_that_does_not_spread_is_the_least_that_does():
    assert candidates(8, 1, 12, (32760,)) == []
    assert least_batch(8, 1, 12, (32760,)) == 2  # twelve heads divide over four devices, so two groups of them
    assert least_batch(8, 8, 12, (32760,)) == 8


@pytest.mark.parametrize(('module', 'name', 'count'), [(wan_full, 'wan_1_3b', 1_418_996_800), (wan_14b, 'wan_14b', 14_288_491_584),
                                                       (wan22_a14b, 'wan_a14b', 14_288_491_584),
                                                       (wan22_ti2v_5b, 'wan_ti2v_5b', 4_999_787_712)])
def test_the_configs_of_published_models_have_their_published_sizes(module, name, count):
    config = checked(config_of(module))
    run = planned(config, mesh_of({'data': 1, 'fsdp': 1, 'context': 1}, jax.devices()[:1]))
    adapters = parameters(run.abstract_state.trained) if config.train.trained == 'lora' else 0
    empty = math.prod(run.foundation.text.spec().shape)
    assert parameters(run.abstract_state.trained) + parameters(run.abstract_frozen) - adapters - empty == count
    assert run.foundation.source == f'the preset {name}' and run.foundation.latents


def test_a_device_holds_its_part_of_the_parameters():
    config = checked(config_of(wan_full))
    alone, eight = (planned(config, mesh_of({'data': 1, 'fsdp': n, 'context': 1}, jax.devices()[:n])) for n in (1, 8))
    assert bytes_of(alone.abstract_state.trained) == 4 * 1_418_996_800
    assert bytes_of(eight.abstract_state.trained) == pytest.approx(bytes_of(alone.abstract_state.trained) / 8, rel=0.02)
    assert bytes_of(alone.abstract_state) == pytest.approx(16 * 1_418_996_800, rel=1e-4)  # parameters, two moments, average


@pytest.mark.parametrize(('text', 'devices', 'hbm'), [('v5e:1x1', 1, 15.75), ('v6e:2x4', 8, 31.25), ('2*v5e:4x4', 32, 15.75),
                                                      ('tpu7x:2x2x1', 8, 94.75), ('h100:8', 8, 79.0)])
def test_a_topology_is_read(text, devices, hbm):
    found = read_topology(text)
    assert (found.devices, found.hbm, found.name) == (devices, hbm, text)


@pytest.mark.parametrize(('names', 'memory', 'message'), [
    (['v5e'], None, 'v5e:2x2, v5p:2x2x1'), (['v5e:2x2x1'], None, 'KIND:CHIPS'), (['v9:2x2'], None, 'not known'), (None, None, 'say what'),
    (['v5e:1x1'], 80, 'GiB of a GPU'), (['2*h100:8'], None, 'h100:16'), (['v5e:0x1'], None, 'not known')])
def test_what_is_no_topology_is_one_line(names, memory, message):
    with pytest.raises(UserError, match=re.escape(message)) as error:
        read_topologies(names, memory)
    assert '\n' not in str(error.value)


def test_without_libtpu_one_line_says_what_installs_it(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'libtpu', None)
    with pytest.raises(UserError, match=r"pip install 'tqd-jax\[tpu\]'"):
        topologies.devices_of(read_topology('v5e:1x1'))


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
    """The Answer for the tiny config where `measure` of a candidate stands for compiling it, and the candidates in their order."""
    seen = []

    def get(self, parts, lower, options=None):
        run = lower.args[0]
        seen.append((run.mesh.data, run.mesh.fsdp, run.mesh.context, run.model.remat, run.train.accumulate))
        return measure(run)

    monkeypatch.setattr(Kept, 'get', get)
    config, found = checked(config_of(video, **{**SMALL, **changes})), read_topology(topology)
    return searching.search(config, found, jax.devices()[:found.devices], Kept(tmp_path), lambda line: None), seen


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


def test_a_candidate_is_the_config_that_runs_it():
    candidate = Candidate(data=1, fsdp=2, context=1, remat='dots', batch=4, accumulate=2)
    config = executed_as(config_of(video, **SMALL), candidate)
    assert (config.model.remat, config.train.accumulate, config.mesh.fsdp, config.mesh.data) == ('dots', 2, 2, 1)


def test_the_command_plans_the_tiny_config_and_a_second_time_compiles_nothing(tmp_path, capsys, monkeypatch):
    """The real step, on two CPU devices in place of GPUs."""
    config = config_of(video, **SMALL)
    arguments = dict(topology=['gpu:2'], gpu_memory=80.0, price=2.0, mfu=0.5, programs=['train', 'sample'], output=str(tmp_path))
    plan.main(config, **arguments)
    first = capsys.readouterr().out
    assert 'compiling 16x16x4 for gpu:2' in first and 'cannot know' in first and '50.0 % of 989 TFLOP/s' in first
    record = json.loads((tmp_path / 'plan.json').read_text())['topologies'][0]
    training = record['training']['best']
    memory = training['memory'][0]
    assert training['fits'] and memory['whole'] == pytest.approx(memory['arguments'] + memory['temporaries'] + memory['results'], abs=2e-3)
    assert record['cost'] == pytest.approx(record['hours'] * 2 * 2.0) and record['hours'] == pytest.approx(record['step_seconds'] / 36)
    assert all((tmp_path / f'plan.{kind}').stat().st_size for kind in ('png', 'svg', 'html'))
    monkeypatch.setattr(compiling, 'measure', lambda *_: pytest.fail('compiled again'))
    plan.main(config, **arguments)
    again = capsys.readouterr().out
    assert 'compiling' not in again and again.splitlines()[-2:] == first.splitlines()[-2:]


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
