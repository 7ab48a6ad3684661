"""Predictions of a plan against closed forms and published counts, and the layouts that it searches."""
import dataclasses
import itertools
import math

import jax
import pytest

from configs import wan, wan22_a14b, wan22_ti2v_5b, wan_14b, wan_full
from tqd_jax.config import Config
from tqd_jax.config.pretrained import PUBLISHED
from tqd_jax.models.wan.config import CHOICES, PRESETS, training_flops_per_example
from tqd_jax.planning.candidates import Candidate, candidates, least_batch
from tqd_jax.planning.cost import recomputed, times_of, usable, work_of
from tqd_jax.planning.estimate import bytes_of, estimate, parameters
from tqd_jax.planning.programs import mesh_of, planned
from tqd_jax.planning.sizes import checked
from tqd_jax.planning.topology import read_topology
from transfer_jax.runtime.config import instance

AT_480, AT_720 = (21, 60, 104, 16), (21, 90, 160, 16)  # latents of 81 frames
ONE = Candidate(data=1, fsdp=1, context=1, remat='full', batch=1, accumulate=1)


def config_of(module):
    return instance(Config, module.get_config())


@pytest.mark.parametrize(('name', 'latent', 'tera'), [('wan_1_3b', AT_480, 849), ('wan_1_3b', AT_720, 3750), ('wan_14b', AT_480, 5035),
                                                      ('wan_14b', AT_720, 19570)])
def test_flops_of_a_training_example_are_those_counted_elsewhere(name, latent, tera):
    """Three forward passes; 19,573 TFLOP is maxdiffusion's own count of the last."""
    assert training_flops_per_example(PRESETS[name], latent) / 1e12 == pytest.approx(tera, rel=2e-3)


def test_a_frozen_kernel_saves_a_third_of_its_products_and_remat_adds_to_them():
    model = PRESETS['wan_1_3b']
    whole, frozen = training_flops_per_example(model, AT_480), training_flops_per_example(model, AT_480, 0.0)
    again = {kind: recomputed(model, AT_480, kind) for kind in CHOICES['remat']}
    forward = whole / 3
    assert again['none'] == 0 and again['full'] == forward
    assert whole - frozen == pytest.approx(forward - again['dots'])  # 'dots' recomputes attention alone
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
    assert {one.data for one in candidates(8, 8, 12, (32760,), slices=2)} == {2, 4, 8}


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


def test_the_published_sizes_are_the_presets_on_latents():
    assert set(PUBLISHED) == {name for name, preset in PRESETS.items() if preset.vocab is None}


def test_an_estimate_is_near_what_was_compiled():
    """12.53 GiB on a v5e chip, benchmarks/results/tpu_memory.md."""
    config = checked(config_of(wan))
    run = planned(config, mesh_of({'data': 1, 'fsdp': 1, 'context': 1}, jax.devices()[:1]))
    parts = run.abstract_state, run.abstract_frozen, run.foundation.model, AT_480
    of = lambda remat: estimate(*parts, dataclasses.replace(ONE, remat=remat))
    assert of('full') == pytest.approx(12.53, rel=0.1)
    assert of('offload') < of('full') < of('attention') < of('dots') < of('none')


def test_a_device_holds_its_part_of_the_parameters():
    config = checked(config_of(wan_full))
    alone, eight = (planned(config, mesh_of({'data': 1, 'fsdp': n, 'context': 1}, jax.devices()[:n])) for n in (1, 8))
    assert bytes_of(alone.abstract_state.trained) == 4 * 1_418_996_800
    assert bytes_of(eight.abstract_state.trained) == pytest.approx(bytes_of(alone.abstract_state.trained) / 8, rel=0.02)
    assert bytes_of(alone.abstract_state) == pytest.approx(16 * 1_418_996_800, rel=1e-4)  # parameters, two moments, average


@pytest.mark.parametrize(('name', 'giga'), [('v5e:2x2', 100), ('v6e:2x4', 200), ('v6e:4x16', 300), ('v6e:16x16', 400), ('v5p:2x2x1', 200),
                                            ('v5p:2x4x4', 300), ('v5p:4x4x4', 600), ('tpu7x:4x4x8', 600), ('h100:8', 450), ('h100:16', 50)])
def test_a_chip_sends_over_the_links_that_its_slice_has(name, giga):
    """One link an axis, two around a ring; all links of a v5p or tpu7x send 600 GB/s, published as 1200 GB/s both ways, of a v6e 400."""
    assert usable(read_topology(name)) == pytest.approx(giga * 1e9)


def test_tokens_are_exchanged_again_wherever_anything_is_recomputed():
    """All-to-alls of a compiled block: 8 where all is kept and 12 else, also where outputs of attention are kept."""
    sent = {}
    for remat in CHOICES['remat']:
        candidate = dataclasses.replace(ONE, context=4, remat=remat)
        sent[remat] = work_of(PRESETS['wan_1_3b'], AT_480, candidate, trained=0, frozen=1, topology=read_topology('v6e:2x2')).links
    tokens = 32760 // 4 * 1536 * 2 * 3 / 4
    assert sent.pop('none') == pytest.approx(8 * 30 * tokens, rel=1e-6)
    assert list(sent.values()) == pytest.approx([12 * 30 * tokens] * len(sent), rel=1e-6)
