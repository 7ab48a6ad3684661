"""Splash attention, interpreted on a CPU, against XLA's; and which implementation a platform gets."""
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tqd_jax.models.wan.attention import attend
from tqd_jax.models.wan.splash import splash, suits
from tqd_jax.models.wan.tiles import TABLE, Tiles, block, tiles
from transfer_jax.runtime.parallel.mesh import make_mesh


def random(queries, keys, batch=1, heads=2, width=8, dtype=jnp.float32):
    """q, k, v at random."""
    rng = np.random.default_rng(queries)
    return tuple(jnp.asarray(rng.standard_normal((batch, n, heads, width), np.float32), dtype) for n in (queries, keys, keys))


def relative(a, b):
    a, b = (x.astype(jnp.float32) for x in (a, b))
    return float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b))


def value_and_gradients(q, k, v, **settings):
    """The output, and the gradients of a sum of its sines, by q, k and v."""
    def loss(*qkv):
        y = attend(*qkv, **settings)
        return jnp.sum(jnp.sin(y.astype(jnp.float32))), y

    with jax.numpy_dtype_promotion('standard'):  # the backward passes mix bfloat16 and float32
        grads, y = jax.jit(jax.grad(loss, argnums=(0, 1, 2), has_aux=True))(q, k, v)
    return y, *grads


@pytest.mark.parametrize(('queries', 'keys', 'dtype', 'tolerance'), [
    (256, 128, jnp.float32, 1e-5),  # whole blocks
    (130, 70, jnp.float32, 1e-5),  # padding on both sides
    (130, 128, jnp.bfloat16, 2e-2),
])
def test_splash_attention_and_its_gradients_are_those_of_xla(queries, keys, dtype, tolerance):
    q, k, v = random(queries, keys, dtype=dtype)
    ours, theirs = (value_and_gradients(q, k, v, kind=kind, target='cpu') for kind in ('splash', 'xla'))
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == dtype and one.shape == other.shape and relative(one, other) < tolerance


def test_every_device_attends_for_its_part_of_the_batch():
    mesh = make_mesh(2, 2, jax.devices()[:4])
    for batch in (4, 3):  # 3 does not divide: every device does all
        q, k, v = random(20, 20, batch=batch)
        ours = jax.jit(functools.partial(attend, kind='splash', target='cpu', mesh=mesh))(q, k, v)
        np.testing.assert_allclose(ours, attend(q, k, v, 'xla'), atol=1e-5)


def test_blocks_pad_little():
    assert [block(n) for n in (32760, 75600, 512, 1024, 1100, 200, 1)] == [1024, 1024, 512, 1024, 128, 128, 128]
    assert all(-n % block(n) <= max(n // 16, 127) for n in range(1, 5000))


@pytest.mark.parametrize('chip', TABLE)
def test_a_chips_blocks_are_multiples_of_each_other_and_of_registers(chip):
    found = TABLE[chip]
    assert all(found.queries % size == 0 for size in (found.forward[0], found.dkv[0], found.dq[0]))
    assert all(found.keys % size == 0 for size in (found.forward[1], found.dkv[1], found.dq[1]))
    assert all(size % 128 == 0 for part in (found.forward, found.dkv, found.dq) for size in part)
    assert tiles(32760, 32760, chip) == found != tiles(32760, 32760)
    assert tiles(32760, 512, chip) == tiles(32760, 512)  # the text is short: blocks of the chip would be mostly padding


def test_blocks_of_every_pass_give_the_same_numbers():
    q, k, v = random(130, 70)
    odd = Tiles((256, 128, 128), (128, 256, 128), (128, 256))
    loss = lambda attention: jax.jit(jax.value_and_grad(lambda *qkv: jnp.sum(jnp.sin(attention(*qkv))), argnums=(0, 1, 2)))(q, k, v)
    ours, theirs = loss(functools.partial(splash, target='cpu', blocks=odd)), loss(functools.partial(attend, kind='xla'))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), ours, theirs)


def test_the_platform_chooses_the_implementation():
    """What is lowered for a TPU holds the kernel where it pays, and never elsewhere."""
    kinds = lambda platform, **sizes: jax.jit(functools.partial(attend, kind='auto', target=platform)).trace(
        *jax.eval_shape(lambda: random(**sizes))).lower(lowering_platforms=(platform,)).as_text()
    large, narrow, short = dict(queries=1024, keys=512, width=128), dict(queries=1024, keys=512, width=64), dict(queries=256, keys=256,
                                                                                                                width=128)
    assert 'tpu_custom_call' in kinds('tpu', **large)
    assert all('tpu_custom_call' not in kinds('tpu', **sizes) for sizes in (narrow, short))
    assert 'tpu_custom_call' not in kinds('cpu', **large)
    assert suits(*random(1024, 512, width=128)[:2]) and not suits(*random(1024, 100, width=128)[:2])


def test_splash_is_refused_on_a_gpu():
    with pytest.raises(ValueError, match="'gpu'"):
        splash(*random(8, 8), 'gpu')
