"""The transformer on eight devices is the transformer on one: after five steps, with LoRA, and with a time for every token."""
import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from spread_runs import CONFIG, TOKENS, parameters, run

from tqd_jax.models.wan.lora import LoraConfig
from tqd_jax.models.wan.model import apply
from transfer_jax.runtime.parallel.mesh import make_mesh

LORA = LoraConfig(rank=4, targets=('attention', 'cross', 'ffn'), dropout=0.3)


@functools.cache
def alone(trains='full', lora=None):
    return run(make_mesh(devices=jax.devices()[:1]), trains, lora=lora)


def close(ours, theirs, tolerance=1e-5):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance), ours, theirs)


@pytest.mark.parametrize('sizes, changes', [((2, 2, 2), {}), ((1, 2, 4), {'attention': 'chunked', 'remat': 'attention'})])
def test_one_and_eight_devices_agree_after_five_steps(sizes, changes):
    ours, theirs = run(make_mesh(*sizes), **changes), alone()
    np.testing.assert_array_equal(ours[1], theirs[1])
    close(ours, theirs)


@pytest.mark.long
def test_lora_and_its_dropout_are_the_same_on_a_context():
    close(run(make_mesh(1, 2, 4), 'lora', lora=LORA), alone('lora', LORA))


def inputs(batch=2):
    """(x, a time for every token, words)."""
    rng = np.random.default_rng(0)
    t = rng.uniform(size=(batch, TOKENS)).astype(np.float32)
    return rng.standard_normal((batch, 4, 16, 16, 3), np.float32), t, rng.integers(0, 9, (batch, 3), dtype=np.int32)


@functools.cache
def gradient(mesh, **changes):
    """The gradient of a distance, and the prediction, at a time for every token."""
    predict = apply(dataclasses.replace(CONFIG, mesh=mesh, **changes))

    def distance(params, x, t, words):
        field = predict(params, {}, x, t, words)
        return jnp.mean(jnp.square(field - 1)), field
    return jax.device_get(jax.jit(jax.grad(distance, has_aux=True))(parameters(CONFIG), *inputs()))


@pytest.mark.parametrize('kind', ['xla', 'splash', 'chunked'])
def test_gradients_on_a_context_are_those_without(kind):
    """With a time for every token; splash is interpreted."""
    close(gradient(make_mesh(2, 1, 4), attention=kind), gradient(None), 2e-5)


def test_what_the_context_does_not_divide_is_whole_on_every_device():
    mesh = make_mesh(1, 1, 3, jax.devices()[:3])
    close(gradient(mesh), gradient(None), 2e-5)


@pytest.mark.parametrize('kind', [*(pytest.param(kind, marks=pytest.mark.long) for kind in ('dots', 'full')), 'attention', 'offload'])
def test_what_is_computed_again_has_the_same_gradient(kind):
    close(gradient(None, remat=kind), gradient(None), 1e-6)
