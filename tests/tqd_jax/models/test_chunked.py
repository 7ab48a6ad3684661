"""Attention in chunks against the closed form in float64; the arrays of its program; and what is chosen for which device and sizes."""
import functools
import math
import re
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tqd_jax.models.wan.attention import attend, choice
from tqd_jax.models.wan.chunked import chunked
from tqd_jax.models.wan.target import target_of


def closed_form(q, k, v, slope):
    """softmax(q k^T / sqrt(H)) v, and the gradients of q, k and v from that of the output, in numpy's float64."""
    q, k, v, slope = (np.asarray(x, np.float64) for x in (q, k, v, slope))
    scale = q.shape[-1] ** -0.5
    logits = np.einsum('bsnh,btnh->bnst', q, k) * scale
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    d = np.einsum('bsnh,btnh->bnst', slope, v)
    d = weights * (d - (weights * d).sum(-1, keepdims=True)) * scale
    return (np.einsum('bnst,btnh->bsnh', weights, v), np.einsum('bnst,btnh->bsnh', d, k), np.einsum('bnst,bsnh->btnh', d, q),
            np.einsum('bnst,bsnh->btnh', weights, slope))


@functools.partial(jax.jit, static_argnums=4)
def ours(q, k, v, slope, block):
    """The same from attention in chunks."""
    y, pull = jax.vjp(lambda *qkv: chunked(*qkv, block), q, k, v)
    return y, *pull(slope)


def random(queries, keys, dtype, size=1.0):
    """q, k, v and the output's gradient; size: of the queries."""
    rng = np.random.default_rng(queries)
    draw = lambda n: rng.standard_normal((2, n, 3, 4))
    return [jnp.asarray(x, dtype) for x in (size * draw(queries), draw(keys), draw(keys), draw(queries))]


@pytest.mark.parametrize(('queries', 'keys', 'block', 'size'), [
    (7, 11, 4, 1),  # padding on both sides
    (8, 4, 4, 1),  # whole blocks, one of keys
    (5, 1, 4, 1),
    (1, 5, 8, 1),  # one block, larger than either
    (7, 11, 3, 1e4),  # logits whose exponentials overflow; each block of keys may raise the maximum
])
def test_output_and_gradients_are_those_of_the_closed_form(queries, keys, block, size):
    with jax.enable_x64(True):
        inputs = random(queries, keys, jnp.float64, size)
        for one, other in zip(ours(*inputs, block), closed_form(*inputs), strict=True):
            assert one.dtype == jnp.float64
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-12 * np.abs(other).max(initial=1))


@pytest.mark.parametrize(('dtype', 'tolerance'), [(jnp.bfloat16, 2**-7), (jnp.float16, 2**-10)])
def test_a_narrow_dtype_costs_its_rounding(dtype, tolerance):
    inputs = random(9, 70, dtype)
    for one, other in zip(ours(*inputs, 16), closed_form(*inputs), strict=True):
        assert one.dtype == dtype
        assert np.linalg.norm(np.asarray(one, np.float64) - other) < tolerance * np.linalg.norm(other)


def test_no_array_is_larger_than_a_block_of_logits_or_the_inputs():
    tokens, block = 4096, 512
    x = jax.ShapeDtypeStruct((1, tokens, 1, 8), jnp.float32)
    loss = lambda q, k, v: jnp.sum(attend(q, k, v, 'chunked'))
    for program in (loss, jax.grad(loss, argnums=(0, 1, 2))):
        shapes = re.findall(r'tensor<((?:\d+x)+)f32>', jax.jit(program).lower(x, x, x).as_text())
        sizes = {math.prod(int(n) for n in shape.split('x') if n) for shape in shapes}
        assert max(sizes) == block * block


def device(platform, capability=None):
    """What target_of reads of a device; a CPU has no compute capability, and AMD's is a name."""
    return types.SimpleNamespace(platform=platform, **({} if capability is None else {'compute_capability': capability}))


T4, A100, B200, AMD, CPU, TPU = (device('gpu', '7.5'), device('gpu', '8.0'), device('gpu', '10.0'), device('gpu', 'gfx90a'), device('cpu'),
                                 device('tpu'))


@pytest.mark.parametrize(('devices', 'dtype', 'sizes', 'kind'), [
    ([A100], 'bfloat16', (32760, 32760, 128), 'cudnn'),
    ([A100], 'float16', (64, 8, 32), 'cudnn'),
    ([B200, A100], 'bfloat16', (64, 64, 64), 'cudnn'),
    ([A100, T4], 'bfloat16', (32760, 32760, 128), 'chunked'),  # one program for both
    ([A100], 'float32', (32760, 32760, 128), 'chunked'),
    ([A100], 'bfloat16', (64, 64, 12), 'xla'),  # heads that cuDNN does not take
    ([T4], 'bfloat16', (32760, 32760, 128), 'chunked'),
    ([T4], 'float16', (4097, 4096, 128), 'chunked'),
    ([T4], 'float16', (4096, 4096, 128), 'xla'),
    ([AMD], 'bfloat16', (32760, 32760, 128), 'chunked'),
    ([TPU], 'bfloat16', (32760, 32760, 128), 'splash'),
    ([TPU], 'bfloat16', (32760, 32760, 64), 'chunked'),
    ([TPU], 'bfloat16', (512, 512, 128), 'xla'),
    ([CPU], 'float32', (512, 8, 32), 'heads_first'),
    ([CPU], 'float32', (4097, 4096, 32), 'chunked'),
    ([device('other')], 'float32', (512, 8, 32), 'xla'),
])
def test_devices_and_sizes_choose_the_implementation(devices, dtype, sizes, kind):
    mesh = types.SimpleNamespace(devices=np.array(devices).reshape(1, -1))
    queries, keys, width = sizes
    q, k = (jax.ShapeDtypeStruct((1, n, 2, width), dtype) for n in (queries, keys))
    assert choice(q, k, target_of(mesh)) == kind


def test_the_mesh_speaks_for_its_devices_whatever_the_default_backend_is(monkeypatch):
    monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
    mesh = types.SimpleNamespace(devices=np.array([[A100]]))
    assert (target_of(None), target_of(mesh)) == ('cpu', 'gpu_sm80')


def test_few_tokens_on_a_cpu_have_our_own_program():
    """Under 'auto' nothing of the chunks is in it."""
    x = jax.ShapeDtypeStruct((1, 64, 2, 8), jnp.float32)
    text = {kind: jax.jit(functools.partial(attend, kind=kind)).lower(x, x, x).as_text() for kind in ('auto', 'heads_first', 'chunked')}
    assert text['auto'] == text['heads_first'] and 'while' in text['chunked'] and 'while' not in text['auto']
