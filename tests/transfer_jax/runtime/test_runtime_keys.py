"""Keys are a function of (seed, stream, counters) and of nothing else."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from transfer_jax.runtime.keys import example_keys, stream_key


def data(key):
    return np.asarray(jax.random.key_data(key))


def test_streams_seeds_and_counters_do_not_collide():
    keys = [data(stream_key(seed, stream, *counters)).tobytes()
            for seed in (0, 1) for stream in ('t', 'noise', 'u') for counters in ((), (0,), (1,), (0, 0), (0, 1), (1, 0))]
    assert len(set(keys)) == len(keys)
    examples = jnp.arange(4096, dtype=jnp.uint32)
    many = np.concatenate([data(example_keys(3, 't', step, examples)) for step in range(4)])
    assert len(np.unique(many, axis=0)) == 4 * 4096


def test_streams_are_independent():
    draws = [jax.vmap(jax.random.normal)(example_keys(0, stream, 5, jnp.arange(20000, dtype=jnp.uint32))) for stream in ('t', 'noise')]
    correlation = np.corrcoef(np.asarray(draws))[0, 1]
    assert abs(correlation) < 4 / np.sqrt(20000)


def test_pinned_so_that_old_runs_can_be_resumed():
    key = jax.random.key(7)
    for value in (0xCBF43926, 3, 11):  # the check value that CRC-32 is published with
        key = jax.random.fold_in(key, value)
    np.testing.assert_array_equal(data(stream_key(7, '123456789', 3, 11)), data(key))


@pytest.mark.parametrize('dtype', [jnp.uint32, jnp.int32])
def test_same_under_jit_vmap_and_sharding(dtype):
    examples = jnp.arange(16, dtype=dtype) + 40
    alone = np.stack([data(stream_key(1, 't', 9, int(example))) for example in examples])
    mesh = jax.make_mesh((8,), ('data',), axis_types=(AxisType.Auto,))
    on_mesh = jax.device_put(examples, NamedSharding(mesh, PartitionSpec('data')))
    program = jax.jit(lambda step, examples: example_keys(1, 't', step, examples))
    for keys in (example_keys(1, 't', 9, examples), program(dtype(9), examples), program(dtype(9), on_mesh)):
        np.testing.assert_array_equal(data(keys), alone)


def test_counters_cover_32_bits():
    assert not np.array_equal(data(stream_key(0, 't', 2**32 - 1)), data(stream_key(0, 't', 2**31 - 1)))
