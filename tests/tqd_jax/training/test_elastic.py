"""A run that is saved on one mesh goes on on any other: the same draws, t and noise to the last bit, parameters to rounding."""
import dataclasses
import math
import types
from unittest import mock

import jax
import numpy as np
import pytest
import small

from tqd_jax.models.wan.config import PRESETS
from tqd_jax.training import loop
from tqd_jax.training.run import build
from transfer_jax.runtime.keys import example_keys
from transfer_jax.runtime.parallel.mesh import make_mesh, to_global
from transfer_jax.runtime.tensors import named_leaves

MESHES = (1, 1, 1), (2, 2, 2), (1, 4, 1), (1, 1, 2)  # data, fsdp, context: 1, 8, 4 and 2 devices


def mesh_of(shape):
    return make_mesh(*shape, devices=jax.devices()[:math.prod(shape)])


@pytest.fixture
def train(library, tmp_path, monkeypatch):
    """train(folder, shape of the mesh, steps): (the state after so many steps in all, [(examples, clips, t, losses) of each new step])."""
    monkeypatch.setitem(PRESETS, 'tiny', dataclasses.replace(PRESETS['tiny'], layers=1, unroll=1))  # quick to compile
    monkeypatch.setattr(loop, '_evaluations', lambda *arguments: types.SimpleNamespace(add=lambda *arguments: None, steps=()))
    add, seen = loop.TrainingLog.add, []

    def noted(log, step, bucket, outputs):
        add(log, step, bucket, outputs)
        seen[-1] += jax.device_get([outputs[name] for name in ('clip', 't', 'loss_per_example')])

    def globally(batch, mesh):
        seen.append([batch.example])
        return to_global(batch, mesh)
    monkeypatch.setattr(loop.TrainingLog, 'add', noted)
    monkeypatch.setattr(loop, 'to_global', globally)

    def train(folder, shape, steps):
        changes = {'data.clips': library, 'checkpoint.every': 100, 'train.steps': steps}
        if not (tmp_path / folder).exists():
            small.run(tmp_path / folder, 'score', **changes)
        with mock.patch('tqd_jax.training.run.make_mesh', lambda *sizes: mesh_of(shape)):
            state, _, _ = loop.train(build(small.config(**changes), tmp_path / folder))
        new, seen[:] = [*seen], []
        return state, new
    return train


@pytest.mark.usefixtures('compiled')
def test_a_run_goes_on_on_other_meshes_as_on_one_device(train):
    wanted, straight = train('straight', MESHES[0], 2 * len(MESHES))
    steps = []
    for number, shape in enumerate(MESHES, 1):
        state, new = train('moved', shape, 2 * number)
        assert all(leaf.sharding.mesh.devices.size == math.prod(shape) for leaf in jax.tree.leaves(state.trained))
        steps += new
    for (*draws, losses), (*wanted_draws, wanted_losses) in zip(steps, straight, strict=True):
        for one, other in zip(draws, wanted_draws, strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(losses, wanted_losses, rtol=1e-4, atol=1e-5)
    for name, leaf in named_leaves(wanted).items():
        np.testing.assert_allclose(named_leaves(state)[name], leaf, rtol=1e-5, atol=1e-5, err_msg=name)


def test_noise_has_the_same_bits_on_every_mesh():
    examples = np.arange(8, dtype=np.uint32)
    draw = jax.jit(lambda examples: jax.vmap(lambda key: jax.random.normal(key, (4, 6)))(example_keys(0, 'noise', 3, examples)))
    first, *others = (np.asarray(draw(to_global(examples, mesh_of(shape)))) for shape in MESHES)
    for other in others:
        np.testing.assert_array_equal(first, other)
