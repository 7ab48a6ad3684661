"""Weighted maximum likelihood in worlds that are known exactly, refitted many times: what the theory's predictions are compared with.

A world draws its inputs from the rows of a finite design, each alike, so Fisher information and KL divergence are exact sums, and all
samples are sufficiently described by how often every row came with every class: a fit costs the same however many samples there are.
"""
import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

ROUNDS, STILL = 30, 1e-9  # of Newton's method: at most so many, ending below this move


class World(NamedTuple):
    """design [M, p] of inputs, None for a Gaussian mean; target [p, C - 1] and sources [K, p, C - 1], logits against the last class."""
    design: jax.Array | None
    target: jax.Array
    sources: jax.Array


def make_world(key, classes, d, target_size, distances, rows):
    """(World, its true G [K, K]) with random parameters and inputs; N0 G_kk = distances [K]; classes None is the Gaussian mean."""
    keys = jax.random.split(key, 3)
    outputs = (classes or 2) - 1
    design = None if classes is None else jax.random.normal(keys[0], (rows, d // outputs))
    target = jax.random.normal(keys[1], (d // outputs, outputs))
    target = target / jnp.linalg.norm(target, axis=0, keepdims=True)
    metric = jnp.eye(d) if classes is None else information(target, design, jnp.full(rows, 1 / rows))
    deltas = jax.random.normal(keys[2], (len(distances), d))
    wanted = jnp.asarray(distances) * d / target_size
    deltas = deltas * jnp.sqrt(wanted / jnp.einsum('ki,ij,kj->k', deltas, metric, deltas))[:, None]
    sources = target[None] + deltas.reshape(-1, *target.shape)
    return World(design, target, sources), jnp.einsum('ki,ij,lj->kl', deltas, metric, deltas) / d


@functools.partial(jax.jit, static_argnames=('target_size', 'sizes', 'runs', 'together'))
def realised(key, world, weights, *, target_size, sizes, runs, together=1):
    """KL(target || fit) [runs, W] for weights [W, K] of sources with N = sizes, the same samples for every row of weights.

    NaN where a fit does not end. together: runs at once, which wants memory for as many times W designs.
    """
    one = _mean if world.design is None else _regression
    run = functools.partial(one, world=world, weights=weights, target_size=target_size, sizes=sizes)
    return jax.lax.map(run, jax.random.split(key, runs), batch_size=min(together, runs))


def _mean(key, *, world, weights, target_size, sizes):
    """Of a Gaussian mean with unit covariance, whose sample means suffice: |error|^2 / 2."""
    root = jnp.sqrt(jnp.asarray([target_size, *sizes], world.target.dtype))
    centres = jnp.concatenate([world.target[None], world.sources]) - world.target[None]
    errors = (centres + jax.random.normal(key, centres.shape) / root[:, None, None]).reshape(len(root), -1)
    used = jnp.square(root)[None] * jnp.concatenate([jnp.ones_like(weights[:, :1]), weights], 1)
    return jnp.sum((used @ errors / jnp.sum(used, 1, keepdims=True)) ** 2, 1) / 2


def _regression(key, *, world, weights, target_size, sizes):
    """Of softmax regression, logistic with two classes."""
    counts = [_counts(k, theta, world.design, n) for k, theta, n in zip(
        jax.random.split(key, 1 + len(sizes)), (world.target, *world.sources), (target_size, *sizes), strict=True)]
    own, others = counts[0], jnp.stack(counts[1:])
    return jax.vmap(lambda w: divergence(world, fit(world.target, own + jnp.tensordot(w, others, 1), world.design)))(weights)


def _counts(key, theta, design, size):
    """How often every row came with every class among so many samples, [M, C]."""
    rows, uniform = jax.random.split(key)
    row = jax.random.randint(rows, (size,), 0, len(design))
    below = jnp.cumsum(probabilities(theta, design), 1)[:, :-1]
    label = jnp.sum(jax.random.uniform(uniform, (size, 1)) > below[row], 1)
    return jnp.zeros((len(design), theta.shape[1] + 1)).at[row, label].add(1)


def probabilities(theta, design):
    """p [M, C] of every class for every row."""
    logits = design @ theta
    return jax.nn.softmax(jnp.concatenate([logits, jnp.zeros_like(logits[:, :1])], 1))


def information(theta, design, counts):
    """Fisher information [d, d] of so many samples of every row, counts [M]: sum_m n_m x x' (diag(p) - p p')."""
    p = probabilities(theta, design)[:, :-1]
    variance = counts[:, None, None] * p[:, :, None] * (jnp.eye(p.shape[1])[None] - p[:, None, :])
    return jnp.einsum('mi,mab,mj->iajb', design, variance, design).reshape(theta.size, theta.size)


def fit(start, counts, design):
    """The theta that maximises the likelihood of weighted counts [M, C], by Newton's method; NaN where that does not end."""
    total = jnp.sum(counts, 1)

    def step(state):
        theta, _, number = state
        gradient = design.T @ (counts - total[:, None] * probabilities(theta, design))[:, :-1]
        move = jax.scipy.linalg.solve(information(theta, design, total), gradient.reshape(-1), assume_a='pos')
        return theta + move.reshape(theta.shape), jnp.max(jnp.abs(move)), number + 1

    going = lambda state: (state[1] > STILL) & (state[2] < ROUNDS)
    theta, move, _ = jax.lax.while_loop(going, step, (start, jnp.asarray(math.inf, start.dtype), 0))
    return jnp.where(move <= STILL, theta, math.nan)


def divergence(world, theta):
    """KL from the target's law to that of theta, averaged over the design."""
    p, q = (jnp.log(probabilities(x, world.design)) for x in (world.target, theta))
    return jnp.mean(jnp.sum(jnp.exp(p) * (p - q), 1))


@functools.partial(jax.jit, static_argnames=('d', 'runs'))
def subsets(key, target_size, distance, quantities, *, d, runs):
    """KL [runs, Q] of a Gaussian mean fitted to N0 target samples and one source's first n, quantities n [Q] ascending; distance N0 G."""
    own, others = jax.random.split(key)
    steps = jnp.diff(quantities, prepend=0)[None, :, None]
    noise = jnp.cumsum(jnp.sqrt(steps) * jax.random.normal(others, (runs, len(quantities), d)), 1)
    bias = quantities * jnp.sqrt(distance / target_size)
    total = jnp.sqrt(target_size) * jax.random.normal(own, (runs, 1, d)) + noise + bias[None, :, None]
    return jnp.sum((total / (target_size + quantities)[None, :, None]) ** 2, 2) / 2
