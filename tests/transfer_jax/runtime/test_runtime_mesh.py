"""The shape of the mesh, one sharding rule for every tree, and batches that come back unchanged."""
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, PartitionSpec

from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.mesh import batch_sharding, make_mesh, replicated, shard_tree, to_global


@pytest.mark.parametrize('sizes, shape', [((-1, 1), (8, 1)), ((-1, 4), (2, 4)), ((4, -1), (4, 2)), ((2, 4), (2, 4)), ((1, 8), (1, 8))])
def test_mesh_shapes(sizes, shape):
    mesh = make_mesh(*sizes)
    assert mesh.shape == {'data': shape[0], 'fsdp': shape[1]}
    assert mesh.axis_types == (AxisType.Auto, AxisType.Auto)
    assert make_mesh(devices=jax.devices()[:1]).size == 1


@pytest.mark.parametrize('sizes', [(3, 1), (-1, 3), (-1, -1), (16, 1), (0, 8), (-1, 0), (-2, -4)])
def test_impossible_meshes_are_refused_with_the_numbers(sizes):
    with pytest.raises(UserError, match=f'data={sizes[0]} x fsdp={sizes[1]} does not fit 8 devices'):
        make_mesh(*sizes)


@pytest.mark.parametrize('shape, spec', [
    ((512, 1024), PartitionSpec(None, 'fsdp')),
    ((1024, 512), PartitionSpec('fsdp')),
    ((512, 512), PartitionSpec(None, 'fsdp')),
    ((30, 512, 1001), PartitionSpec(None, 'fsdp')),
    ((999, 1001), PartitionSpec()),
    ((511, 512), PartitionSpec()),
    ((), PartitionSpec()),
])
def test_the_rule_for_one_leaf(shape, spec):
    leaf = jax.ShapeDtypeStruct(shape, jnp.float32)
    assert shard_tree(leaf, make_mesh(-1, 4)).spec == spec
    assert shard_tree(leaf, make_mesh(-1, 1)).spec == PartitionSpec()


def test_one_rule_for_parameters_and_optimizer_alike():
    params = {'big': jnp.zeros((64, 32)), 'small': jnp.zeros((4,))}
    optimizer = optax.adam(1e-3)
    abstract = jax.eval_shape(lambda params: {'params': params, 'opt': optimizer.init(params)}, params)
    shardings = shard_tree(abstract, make_mesh(2, 4), min_size=1024)
    assert jax.tree.structure(shardings) == jax.tree.structure(abstract)
    moments = shardings['opt'][0]
    assert shardings['params']['big'] == moments.mu['big'] == moments.nu['big']
    assert shardings['params']['big'].spec == PartitionSpec('fsdp')
    assert moments.count.spec == shardings['params']['small'].spec == PartitionSpec()
    array = jax.device_put(params['big'], shardings['params']['big'])
    assert {shard.data.shape for shard in array.addressable_shards} == {(16, 32)}


def test_batches_come_back_as_they_went_in():
    mesh = make_mesh(2, 4)
    batch = {'frames': np.arange(16 * 6, dtype=np.uint8).reshape(16, 2, 3), 'law': (np.linspace(0, 1, 16, dtype=np.float32),)}
    array = to_global(batch, mesh)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(array), batch)
    assert array['frames'].sharding == batch_sharding(mesh) and array['frames'].dtype == np.uint8
    assert [shard.data.shape[0] for shard in array['frames'].addressable_shards] == [2] * 8
    assert jax.device_put(np.float32(3), replicated(mesh)).sharding.is_fully_replicated


@pytest.mark.parametrize('size, advice', [(12, '8 or 16'), (3, 'take 8')])
def test_a_batch_that_does_not_divide_is_refused(size, advice):
    with pytest.raises(UserError, match=f'batch of {size} does not divide over 8 devices; .*{advice}'):
        to_global({'clip': np.arange(size)}, make_mesh())
