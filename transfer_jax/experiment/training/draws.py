"""The rows of a step: domains at rate q by systematic sampling, rows uniformly, all keyed by (seed, stream, step)."""
import jax
import jax.numpy as jnp
from flax import struct

from transfer_jax.experiment.training.policy import Policy, rates
from transfer_jax.runtime.keys import stream_key


@struct.dataclass
class Pool:
    """The examples of all domains, one after the other: inputs [N, ...], labels [N]; domain d has sizes[d] from starts[d] on [D].

    order [N]: within each domain a permutation of its rows; n rows of it in turn, from a place of the seed's own, are n random samples.
    """
    inputs: jax.Array
    labels: jax.Array
    starts: jax.Array
    sizes: jax.Array
    order: jax.Array


@struct.dataclass
class Replicas:
    """Fits that run side by side: number of the seed [L], number of the target's domain [L], and its rows to draw from [L, R]."""
    seed: jax.Array
    target: jax.Array
    rows: jax.Array


def draw(pool: Pool, replica: Replicas, policy: Policy, step: jax.Array, *, batch: int, sampling: str) -> tuple[jax.Array, jax.Array]:
    """(rows of the pool [B], loss weights [B]) of one replica's step: sum of weights / B times the loss is unbiased for the policy's.

    Systematic sampling: (j + U) / B through the cumulative rates, so a batch's counts are within one of B q.
    """
    q, v = rates(policy, sampling), policy.shares()
    of_domain, of_row = jax.random.split(stream_key(replica.seed, 'draw', step))
    place = (jnp.arange(batch, dtype=jnp.float32) + jax.random.uniform(of_domain)) / batch
    place = jnp.minimum(place, 1 - 2**-24)  # rounding in float32 may give 1, beyond the last domain with q > 0
    upto = jnp.cumsum(q)
    domain = jnp.sum(place[:, None] >= (upto / upto[-1])[None, :-1], 1)
    many = jnp.maximum(policy.quantities[domain].astype(jnp.int32), 1)
    number = jax.random.randint(of_row, (batch,), 0, many)
    own = pool.starts[replica.target] + replica.rows[jnp.minimum(number, len(replica.rows) - 1)]
    rows = jnp.where(domain == replica.target, own, _source_row(pool, replica, domain, number))
    weight = v[domain] / q[domain]
    return rows, weight if policy.class_factors is None else weight * policy.class_factors[domain, pool.labels[rows]]


def _source_row(pool, replica, domain, number):
    """The pool's row that is `number` in the order that this replica's seed has for the domain."""
    first = pool.starts[domain]
    return first + pool.order[first + (begins(pool, replica.seed)[domain] + number) % pool.sizes[domain]]


def begins(pool: Pool, seed: jax.Array) -> jax.Array:
    """The place [D] in each domain's order where a seed begins to count."""
    key = stream_key(seed, 'subset')
    return jax.vmap(lambda d: jax.random.randint(jax.random.fold_in(key, d), (), 0, pool.sizes[d]))(jnp.arange(len(pool.sizes)))
