"""Explicit randomness: every key is a function of (seed, stream, counters), so none is saved and none is split twice."""
import zlib

import jax
import jax.numpy as jnp
import numpy as np


def stream_key(seed: int | jax.Array, stream: str, *counters: int | jax.Array) -> jax.Array:
    """The key of one draw: key(seed), folded with the stream's name, then with each counter in turn.

    Args:
      seed: int of the run.
      stream: the name of the draw ('t', 'noise', 'init'); another name is another, independent stream.
      *counters: scalar integers in [0, 2**32), Python's or (traced) uint32 or int32 arrays: step, example, ...

    Returns:
      A scalar typed PRNG key; the same inside and outside of jit, and on every mesh.
    """
    key = jax.random.fold_in(jax.random.key(seed), jnp.uint32(zlib.crc32(stream.encode())))
    for counter in counters:
        key = jax.random.fold_in(key, jnp.asarray(counter, jnp.uint32))
    return key


def example_keys(seed: int | jax.Array, stream: str, step: int | jax.Array, examples: jax.Array) -> jax.Array:
    """One key an example, [B] keys from examples [B] (integers): stream_key(seed, stream, step, example) of each."""
    return jax.vmap(lambda example: stream_key(seed, stream, step, example))(examples)


def host_generator(seed: int, stream: str, *counters: int) -> np.random.Generator:
    """The generator of one draw on the host, where a loader's worker must not start JAX: a function of seed, stream and counters alike."""
    return np.random.default_rng([seed, zlib.crc32(stream.encode()), *counters])
