"""Weighted maximum likelihood, refitted on many draws, and its linearisation, whose expected KL is exact.

The linearised fit theta_0 + J^-1 g / W (g the weighted score at theta_0, W the weighted sample size) moves with the real one, so the mean
of KL - Q, plus the exact mean of Q, is the expected KL without most of the Monte-Carlo noise (a control variate).
"""
import math

import jax
import jax.numpy as jnp

from benchmarks.studies.theory.worlds import divergence, information, probabilities

MAX_ROUNDS, TOLERANCE = 30, 1e-9  # of Newton's method; the largest move of the last round


def fit(start, counts, design, factor):
    """The theta that maximises the likelihood of weighted counts [M, C], by Newton's method; NaN where the method does not converge.

    Conjugate gradients solve for its steps, preconditioned with the Fisher information of a sample at some theta nearby, whose
    Cholesky factor [d, d] is `factor`: with hundreds of parameters some 20 times as fast as building every information matrix.
    """
    total = jnp.sum(counts, 1)
    nearly = lambda x: jax.scipy.linalg.cho_solve((factor, True), x.reshape(-1)).reshape(x.shape) / jnp.sum(total)

    def step(state):
        theta, _, number = state
        p = probabilities(theta, design)[:, :-1]
        gradient = design.T @ (counts[:, :-1] - total[:, None] * p)

        def curvature(x):
            moved = p * (design @ x)
            return design.T @ (total[:, None] * (moved - p * jnp.sum(moved, 1, keepdims=True)))
        move, _ = jax.scipy.sparse.linalg.cg(curvature, gradient, M=nearly, tol=1e-4, maxiter=4 * theta.size)
        return theta + move, jnp.max(jnp.abs(move)), number + 1

    going = lambda state: (state[1] > TOLERANCE) & (state[2] < MAX_ROUNDS)
    theta, move, _ = jax.lax.while_loop(going, step, (start, jnp.asarray(math.inf, start.dtype), 0))
    return jnp.where(move <= TOLERANCE, theta, math.nan)


def weighted_fit(world, factor, samples, sizes, weights):
    """The theta [p, C - 1] of one draw, samples [1 + K, ...] as worlds.statistics makes them, at weights [1 + K] of the domains."""
    total = jnp.tensordot(weights, samples, 1)
    if world.design is None:
        return world.thetas[0] + total / jnp.sum(weights * sizes)
    return fit(world.thetas[0], total, world.design, factor)


@jax.jit
def fits(world, samples, sizes, weights):
    """The thetas [R, W, p, C - 1] of every draw, sizes [R, 1 + K], at every row of weights [R, W, 1 + K]; NaN where there is none."""
    factor = jnp.linalg.cholesky(_metric(world))
    one = lambda draw: jax.lax.map(lambda w: weighted_fit(world, factor, *draw[:2], w), draw[2])
    return jax.lax.map(one, (samples, sizes, weights))  # mapped, not batched: one problem stays in the cache and runs in BLAS


@jax.jit
def errors(world, samples, sizes, weights):
    """(KL(target || fit), Q) [R, W]: Q = |J^-1 g / W|_J^2 / 2 of the linearised fit; arguments as fits."""
    factor = jnp.linalg.cholesky(_metric(world))

    def one(draw):
        samples, sizes, weights = draw
        used = jnp.tensordot(weights, samples, 1)
        g = (used if world.design is None else jax.vmap(lambda counts: _score(world, counts))(used)).reshape(len(used), -1)
        size = weights @ sizes
        kl = jax.lax.map(lambda w: divergence(world, weighted_fit(world, factor, samples, sizes, w)), weights)
        return kl, jnp.sum(jax.scipy.linalg.solve_triangular(factor, g.T, lower=True) ** 2, 0) / size**2 / 2
    return jax.lax.map(one, (samples, sizes, weights))


@jax.jit
def expected_linear(world, sizes, weights):
    """The exact mean of errors' Q, [W] for weights [W, 1 + K]: tr(J^-1 sum_k w_k^2 N_k C_k + m' J^-1 m) / (2 W^2), with C_k the scores'
    covariance of a sample of domain k at theta_0 and m = sum_k w_k N_k times their means."""
    inverse, outputs = jnp.linalg.inv(_metric(world)), world.thetas.shape[2]
    if world.design is None:
        means, traces = (world.thetas - world.thetas[:1])[..., 0], jnp.full(len(world.thetas), float(len(inverse)))
    else:
        laws = jax.vmap(probabilities, (0, None))(world.thetas, world.design)[:, :, :-1]
        p, shape = laws[0], (len(world.design), outputs)
        spread = jnp.einsum('mi,iajb,mj->mab', world.design, inverse.reshape(-1, outputs, len(inverse) // outputs, outputs), world.design)
        means = jnp.einsum('mi,kma->kia', world.design, laws - p[None]).reshape(len(laws), -1) / shape[0]
        second = laws[..., :, None] * jnp.eye(outputs)[None, None] - laws[..., :, None] * p[None, :, None, :]
        second = second - p[None, :, :, None] * laws[..., None, :] + (p[:, :, None] * p[:, None, :])[None]
        traces = jnp.einsum('mab,kmab->k', spread, second) / shape[0] - jnp.einsum('ki,ij,kj->k', means, inverse, means)
    used = weights * sizes[None]
    mean = used @ means
    return ((weights * used) @ traces + jnp.einsum('wi,ij,wj->w', mean, inverse, mean)) / jnp.sum(used, 1) ** 2 / 2


def _metric(world):
    """J [d, d], of one sample."""
    if world.design is None:
        return jnp.eye(world.thetas.shape[1])
    return information(world.thetas[0], world.design, jnp.full(len(world.design), 1 / len(world.design)))


def _score(world, counts):
    """The score of counts [M, C] at theta_0, [p, C - 1]."""
    residual = counts - jnp.sum(counts, 1, keepdims=True) * probabilities(world.thetas[0], world.design)
    return world.design.T @ residual[:, :-1]
