"""In which dtype kernels travel between devices, and gradients are added up there, before a backend widens it as the CPU's does."""
import dataclasses

import jax
import jax.numpy as jnp
import pytest
from spread_runs import CONFIG, placed
from topology import collectives

from tqd_jax.models.wan.model import abstract_params, apply
from tqd_jax.training.state import shardings_of
from transfer_jax.runtime.parallel.mesh import batch_sharding, make_mesh

WIDE = dict(layers=1, heads=2, head_dim=128, ffn_dim=1024, dtype='bfloat16')  # kernels large enough to be split
UP = 256 * 1024  # of the feed-forward: numbers in a kernel that no other layer has
SUMS = 'all-reduce', 'reduce-scatter'


def sent(reduce, folder):
    """Collectives of the gradient's program, as the partitioner made them; fsdp 4."""
    mesh = make_mesh(1, 4, 1, jax.devices()[:4])
    config = dataclasses.replace(CONFIG, mesh=mesh, reduce=reduce, **WIDE)
    predict, params = apply(config), placed(abstract_params(config), mesh)
    loss = lambda params, x, t, words: jnp.mean(jnp.square(predict(params, {}, x, t, words)))
    shape = lambda dtype, *sizes: jax.ShapeDtypeStruct(sizes, dtype, sharding=batch_sharding(mesh))
    inputs = shape(jnp.float32, 4, 4, 16, 16, 3), shape(jnp.float32, 4), shape(jnp.int32, 4, 3)
    lowered = jax.jit(jax.grad(loss), out_shardings=shardings_of(params)).lower(params, *inputs)
    lowered.compile({'xla_dump_to': str(folder), 'xla_dump_hlo_pass_re': 'spmd-partitioning'})
    return collectives(next(folder.glob('*after_spmd-partitioning*.txt')).read_text())


@pytest.mark.parametrize(('reduce', 'dtype'), [('float32', 'f32'), ('bfloat16', 'bf16')])
def test_kernels_travel_in_the_dtype_of_the_product_and_gradients_in_that_of_the_key(reduce, dtype, tmp_path):
    found = sent(reduce, tmp_path)
    assert {kind for kind, size in found['all-gather'] if size == UP} == {'bf16'}
    assert {kind for name in SUMS for kind, size in found.get(name, []) if size == UP} == {dtype}
    beside = {kind for name in SUMS for kind, size in found.get(name, []) if size == 6 * 256}  # of the modulation: never in 16 bits
    assert beside == {'f32'}
