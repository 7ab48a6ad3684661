"""Policy: how many samples of each domain take part in a fit, and the weight of each; every decision of a method is one."""
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

SAMPLING = ('shares', 'sizes', 'even')


@struct.dataclass
class Policy:
    """weights w [..., D] of one sample of each domain, the target among them, and quantities n [..., D], how many of its samples take part.

    class_factors a [..., D, C], or None where all are 1: a sample of class y counts a_dy times the weight of its domain. Their mean over a
    domain's samples is 1, so totals and shares do not depend on them.

    Its loss is the weighted likelihood sum_d w_d sum_{i <= n_d} a_d,y(i) l_di / W, W = sum_d w_d n_d.
    """
    weights: jax.Array
    quantities: jax.Array
    class_factors: jax.Array | None = None

    def total(self) -> jax.Array:
        """W [...]: the effective number of samples, in units of the target's."""
        return jnp.sum(self.weights * self.quantities, -1)

    def shares(self) -> jax.Array:
        """v_d = w_d n_d / W [..., D]: each domain's part of the loss."""
        return self.weights * self.quantities / self.total()[..., None]

    def sample_count(self) -> jax.Array:
        """Samples that take part [...]: sum of n_d where w_d > 0."""
        return jnp.sum(jnp.where(self.weights > 0, self.quantities, 0), -1)


def rates(policy: Policy, sampling: str) -> jax.Array:
    """q [..., D]: the probability that a row is drawn from a domain that takes part: its share of the loss, its size's, or equal.

    The row's loss then weighs v / q, so the expected gradient is the same for every q.
    """
    takes_part = policy.weights * policy.quantities > 0
    chances = {'shares': policy.shares(), 'sizes': policy.quantities, 'even': jnp.ones_like(policy.quantities)}[sampling]
    chances = jnp.where(takes_part, chances, 0)
    return chances / jnp.sum(chances, -1, keepdims=True)


def steps(policy: Policy, *, epochs: float, batch: int, min_steps: int) -> np.ndarray:
    """[...] int32: steps of `epochs` passes over the samples that take part, at least min_steps."""
    passes = np.ceil(epochs * np.asarray(policy.sample_count()) / batch)
    return np.maximum(passes, min_steps).astype(np.int32)


def same_policy(ours: Policy, theirs: Policy) -> bool:
    """Whether two policies agree but for rounding, such as that of another machine."""
    near = lambda a, b: np.allclose(a, b, rtol=1e-3, atol=1e-6)
    return all(map(near, jax.tree.leaves(ours), jax.tree.leaves(theirs)))
