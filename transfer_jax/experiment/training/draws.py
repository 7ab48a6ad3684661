"""Which rows a step learns from: domains at rate q by systematic sampling, rows uniformly, all keyed by (seed, stream, step)."""
import jax
import jax.numpy as jnp
from flax import struct

from transfer_jax.experiment.training.policy import rates
from transfer_jax.runtime.keys import stream_key


@struct.dataclass
class Pool:
    """The examples of all domains, one after the other: inputs [N, ...], labels [N]; domain d has sizes[d] from starts[d] on [D].

    order [N]: within each domain a permutation of its rows; the first n of it, from a seed's own place on, are its n random samples.
    """
    inputs: jax.Array
    labels: jax.Array
    starts: jax.Array
    sizes: jax.Array
    order: jax.Array


@struct.dataclass
class Replicas:
    """Fits that run side by side, [L] of each: the number of the seed, which domain is the target, and its rows [L, R] to draw from."""
    seed: jax.Array
    target: jax.Array
    rows: jax.Array


def draw(pool, replica, policy, step, *, batch, sampling):
    """(rows of the pool [B], loss weights [B]) of one replica's step: sum of weights / B times the loss is unbiased for the policy's.

    Systematic sampling: (j + U) / B through the cumulative rates, so a batch's counts are within one of B q.
    """
    q, v = rates(policy, sampling), policy.shares()
    of_domain, of_row = jax.random.split(stream_key(replica.seed, 'draw', step))
    place = (jnp.arange(batch, dtype=jnp.float32) + jax.random.uniform(of_domain)) / batch
    place = jnp.minimum(place, 1 - 2**-24)  # rounding in float32 may give 1, which is beyond the last domain with q > 0
    upto = jnp.cumsum(q)
    domain = jnp.sum(place[:, None] >= (upto / upto[-1])[None, :-1], 1)
    many = jnp.maximum(policy.quantities[domain].astype(jnp.int32), 1)
    number = jax.random.randint(of_row, (batch,), 0, many)
    own = pool.starts[replica.target] + replica.rows[jnp.minimum(number, len(replica.rows) - 1)]
    rows = jnp.where(domain == replica.target, own, _shuffled(pool, replica, domain, number))
    return rows, v[domain] / q[domain]


def _shuffled(pool, replica, domain, number):
    """The pool's row that is `number` in the order that this replica's seed has for the domain."""
    key = stream_key(replica.seed, 'subset')
    begin = jax.vmap(lambda d: jax.random.randint(jax.random.fold_in(key, d), (), 0, pool.sizes[d]))(jnp.arange(len(pool.sizes)))
    first = pool.starts[domain]
    return first + pool.order[first + (begin[domain] + number) % pool.sizes[domain]]
