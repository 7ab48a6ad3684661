"""The prior that all tasks share, fitted to all tasks at once; from it each task's estimate and the noise of that estimate.

With few samples a task's own fit may not exist. In the metric of the pooled Fisher information J, heads are h_k ~ N(mu, spread I), each
observed through n_k samples. Estimates are posterior means, ridge fits towards mu, rescaled so that their size is unbiased.
"""
import dataclasses

import jax
import jax.numpy as jnp

from transfer_jax.experiment.multitask.quadratics import Quadratics

ROUNDS = 60  # of the fixed-point iteration; on the school data 200 give the same spread to three digits
RIDGE = 1e-4  # of J's mean diagonal: for directions without information, such as the one of a softmax
MIN_SPREAD = 1e-3  # of a sample mean's variance: a smaller spread changes no weight


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Estimates:
    """z [T, d]: each task's head minus mu, in J's metric. noise [T]: E|z_k - true|^2 / d; directions []: the effective number of noisy
    ones.

    spread: E|h_k - mu|^2_J / d over tasks. variance: sigma^2 of one label, so that variance / n_k is a whole fit's noise.
    """
    z: jax.Array
    noise: jax.Array
    directions: jax.Array
    spread: jax.Array
    variance: jax.Array


@jax.default_matmul_precision('highest')
def estimates(likelihoods: Quadratics) -> Estimates:
    """The Estimates of T >= 2 tasks.

    In the eigenvectors of S_k = J^(-1/2) second_k J^(-1/2), with eigenvalues e: a ridge fit keeps gain = e / (e + variance / spread) of a
    deviation and has noise variance gain^2 / e. z is the fit over the root of the mean gain^2, so that |z|^2 is |h - mu|^2_J + d noise in
    expectation under the prior.
    """
    values, vectors, coordinates = _whiten(likelihoods)
    mean, spread, variance = _fit_prior(values, vectors, coordinates, likelihoods)
    ridge = variance / spread
    gain = values / (values + ridge)
    deviation = jnp.einsum('kij,kj->ki', vectors, _posterior(values, vectors, coordinates, mean, ridge)) - mean[None]
    gain_power = jnp.maximum(jnp.mean(gain**2, 1), 1e-12)
    noise = variance * values / (values + ridge) ** 2
    directions = jnp.sum(noise, 1) ** 2 / jnp.maximum(jnp.sum(noise**2, 1), 1e-30)
    return Estimates(deviation / jnp.sqrt(gain_power)[:, None], jnp.mean(noise, 1) / gain_power, jnp.mean(directions), spread, variance)


def _whiten(likelihoods):
    """Eigenvalues [T, d] and vectors [T, d, d] of each S_k, and its first moments J^(-1/2) first_k in these vectors [T, d]."""
    information = jnp.sum(likelihoods.second, 0) / jnp.sum(likelihoods.counts)
    d = len(information)
    root = jnp.linalg.cholesky(information + RIDGE * jnp.trace(information) / d * jnp.eye(d))
    half = jax.scipy.linalg.solve_triangular(root, jnp.eye(d), lower=True)
    values, vectors = jnp.linalg.eigh(half[None] @ likelihoods.second @ half.T[None])
    return jnp.maximum(values, 0), vectors, jnp.einsum('kji,kj->ki', vectors, likelihoods.first @ half.T)


def _posterior(values, vectors, coordinates, mean, ridge):
    """The posterior means in each task's eigenvectors, [T, d]."""
    return (coordinates + ridge * jnp.einsum('kji,j->ki', vectors, mean)) / (values + ridge)


def _fit_prior(values, vectors, coordinates, likelihoods):
    """(mu [d], spread, variance) of the largest marginal likelihood, where EM has its fixed point too.

    spread is |heads - mu|^2 over the numbers that the data determine, sum gain (MacKay 1992): near 0 EM itself would hardly move.
    """
    counts = likelihoods.counts
    floor = MIN_SPREAD / jnp.mean(counts)

    def improve(_, state):
        mean, spread, variance = state
        ridge = variance / spread
        means, posterior_variance = _posterior(values, vectors, coordinates, mean, ridge), variance / (values + ridge)
        heads = jnp.einsum('kij,kj->ki', vectors, means)
        mean = jnp.mean(heads, 0)
        spread = jnp.sum((heads - mean[None]) ** 2) / jnp.sum(values / (values + ridge))
        if likelihoods.square is not None:
            misfit = jnp.sum(values * (means**2 + posterior_variance) - 2 * means * coordinates) + jnp.sum(likelihoods.square)
            variance = jnp.maximum(misfit, 1e-6 * jnp.sum(likelihoods.square)) / jnp.sum(counts)
        return mean, jnp.maximum(spread, floor * variance), variance

    alone = 1.0 if likelihoods.square is None else jnp.sum(likelihoods.square) / jnp.sum(counts)
    variance = jnp.asarray(alone, values.dtype)
    start = jnp.zeros_like(values[0]), 10 * variance / jnp.mean(counts), variance
    return jax.lax.fori_loop(0, ROUNDS, improve, start)
