"""The shape of the mesh, one sharding rule for every tree, and batches that come back unchanged."""
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, PartitionSpec

from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.mesh import batch_sharding, check_batch, local_rows, make_mesh, replicated, shard_tree, to_global
from transfer_jax.runtime.parallel.order import ordered


@pytest.mark.parametrize('sizes, shape', [
    ((-1, 1), (8, 1, 1)), ((-1, 4), (2, 4, 1)), ((4, -1), (4, 2, 1)), ((-1, 2, 2), (2, 2, 2)), ((2, 1, -1), (2, 1, 4))])
def test_mesh_shapes(sizes, shape):
    mesh = make_mesh(*sizes)
    assert mesh.shape == dict(zip(('data', 'fsdp', 'context'), shape, strict=True))
    assert mesh.axis_types == (AxisType.Auto,) * 3
    assert make_mesh(devices=jax.devices()[:1]).size == 1


@pytest.mark.parametrize('sizes', [(3, 1), (-1, 3), (-1, -1), (16, 1), (0, 8), (-1, 0), (-2, -4), (1, 1, 3), (-1, 2, -1)])
def test_impossible_meshes_are_refused_with_the_numbers(sizes):
    with pytest.raises(UserError, match=f'data={sizes[0]} x fsdp={sizes[1]} x context={(*sizes, 1)[2]} does not fit 8 devices'):
        make_mesh(*sizes)


def chips(width, height, slices=1, platform='tpu'):
    """Stand-ins for the devices of so many slices of a v6e."""
    return [types.SimpleNamespace(platform=platform, device_kind='TPU v6 lite', coords=(x, y, 0), core_on_chip=0, slice_index=number,
                                  id=(number, x, y), process_index=number)
            for number in range(slices) for y in range(height) for x in range(width)]


def test_neighbours_in_a_mesh_are_neighbours_on_the_interconnect():
    grid = ordered(chips(2, 4), (1, 2, 4))
    places = np.array([[device.coords for device in row] for row in grid[0]])
    assert (np.ptp(places, axis=1) == [1, 1, 0]).all()  # the four of a context are a square
    assert [device.id for device in ordered(chips(2, 4, platform='gpu'), (2, 2, 2)).flat] == [device.id for device in chips(2, 4)]
    part = chips(2, 4)[:3]  # no box of the torus
    assert [*ordered(part, (1, 3, 1)).flat] == part


@pytest.mark.parametrize('shape, across', [((2, 2, 4), 0), ((1, 4, 4), 1)])
def test_slices_lie_along_an_axis_of_the_batch(shape, across):
    slices = np.vectorize(lambda device: device.slice_index)(ordered(chips(2, 4, slices=2), shape))
    halves = np.split(slices, 2, axis=across)
    assert [np.unique(half).tolist() for half in halves] == [[0], [1]]
    with pytest.raises(UserError, match=r'data=1 x fsdp=1 does not spread over 2 slices'):
        ordered(chips(2, 4, slices=2), (1, 1, 16))


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


def test_rules_by_path_and_their_fallback():
    rules = (('(^|/)scale$', ()), ('up/kernel$', ('parameters', None)))
    leaf = lambda *shape: jax.ShapeDtypeStruct(shape, jnp.float32)
    tree = {'mu': [{'up': {'kernel': leaf(16, 64), 'scale': leaf(512, 1024)}}], 'odd': {'up': {'kernel': leaf(5, 64)}}}
    specs = lambda *sizes, **settings: jax.tree.map(lambda s: s.spec, shard_tree(tree, make_mesh(*sizes), rules=rules, **settings))
    both = specs(1, 2, 4)
    assert both['mu'][0]['up'] == {'kernel': PartitionSpec(('fsdp', 'context')), 'scale': PartitionSpec()}  # whatever its size
    assert both['odd']['up']['kernel'] == PartitionSpec()  # 5 does not divide, and the leaf is small
    assert specs(1, 2, 4, min_size=1)['odd']['up']['kernel'] == PartitionSpec(None, ('fsdp', 'context'))
    assert specs(8)['mu'][0]['up']['kernel'] == PartitionSpec()
    assert shard_tree(leaf(2**18, 6), make_mesh(1, 2, 4)).spec == PartitionSpec(('fsdp', 'context'))
    assert shard_tree(leaf(12, 3**11), make_mesh(1, 2, 4)).spec == PartitionSpec('context')  # 12 is no multiple of 8
    assert shard_tree(leaf(6, 3**11), make_mesh(1, 2, 4)).spec == PartitionSpec('fsdp')


def test_devices_of_a_context_share_rows():
    mesh = make_mesh(1, 2, 4)
    array = to_global(np.arange(4), mesh)
    assert sorted(tuple(shard.data.tolist()) for shard in array.addressable_shards) == 4 * [(0, 1)] + 4 * [(2, 3)]
    check_batch(2, mesh)
    assert local_rows(2, mesh) is None
    with pytest.raises(UserError, match='a batch of 3 does not divide over 2 groups of 4 devices; take 2 or 4'):
        check_batch(3, mesh)


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
