"""Exact worlds: a target and its sources as Gaussian means, logistic or softmax regressions.

A regression draws its inputs from the rows of a finite design, each alike, so Fisher information and KL divergence are exact sums.
"""
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

MODELS = {'mean': None, 'logistic': 2, 'softmax': 3}  # classes


class World(NamedTuple):
    """design [M, p] of inputs, None for a Gaussian mean of unit covariance; thetas [1 + K, p, C - 1], the target's first: logits against
    the last class; gram [K, K]: G = Delta' J Delta / d with J the target's Fisher information of one sample."""
    design: jax.Array | None
    thetas: jax.Array
    gram: jax.Array


def dimension(model, d):
    """The smallest number of parameters from d on that the model can have: every free logit has equally many."""
    return d + d % (MODELS[model] - 1) if MODELS[model] else d


def rows(d):
    """Rows of the design: four a parameter, at least 256."""
    return max(256, 4 * d)


def make_world(key, model, d, target_size, mixing):
    """A World with a random target of norm 1 a logit, and biases along random directions.

    mixing [K, q]: source k is biased by mixing[k] @ (q random directions), rescaled to N0 G_kk = |mixing[k]|^2; a diagonal mixing gives
    every source a direction of its own, one column a direction that all share. target_size N0.
    """
    keys, outputs = jax.random.split(key, 3), (MODELS[model] or 2) - 1
    design = jax.random.normal(keys[0], (rows(d), d // outputs)) if MODELS[model] else None
    target = jax.random.normal(keys[1], (d // outputs, outputs))
    target = target / jnp.linalg.norm(target, axis=0, keepdims=True)
    metric = information(target, design, jnp.full(rows(d), 1 / rows(d))) if MODELS[model] else jnp.eye(d)
    mixing = jnp.asarray(mixing, target.dtype)
    deltas = mixing @ jax.random.normal(keys[2], (mixing.shape[1], d))
    lengths = jnp.einsum('ki,ij,kj->k', deltas, metric, deltas)
    square = jnp.sum(mixing**2, 1) * d / target_size
    deltas = deltas * jnp.sqrt(jnp.where(square > 0, square / jnp.where(lengths > 0, lengths, 1), 0))[:, None]
    thetas = jnp.concatenate([target[None], target[None] + deltas.reshape(-1, *target.shape)])
    return World(design, thetas, jnp.einsum('ki,ij,lj->kl', deltas, metric, deltas) / d)


def in_blocks(world, owners):
    """The world with source owners[b] as its block b, [B] numbers from 0 on: samples of one source may come in several blocks."""
    owners = np.asarray(owners)
    return World(world.design, world.thetas[np.concatenate([[0], owners + 1])], world.gram[np.ix_(owners, owners)])


def probabilities(theta, design):
    """p [M, C] of every class for every row."""
    logits = design @ theta
    return jax.nn.softmax(jnp.concatenate([logits, jnp.zeros_like(logits[:, :1])], 1))


def information(theta, design, counts):
    """Fisher information [d, d] of so many samples of every row, counts [M]: sum_m n_m x x' (diag(p) - p p')."""
    p = probabilities(theta, design)[:, :-1]
    variance = counts[:, None, None] * p[:, :, None] * (jnp.eye(p.shape[1])[None] - p[:, None, :])
    blocks = [[(variance[:, a, b, None] * design).T @ design for b in range(p.shape[1])] for a in range(p.shape[1])]
    return jnp.stack([jnp.stack(row, 2) for row in blocks], 1).reshape(theta.size, theta.size)


def divergence(world, theta):
    """KL from the target's distribution to that of theta: |theta - theta_0|^2 / 2 of Gaussian means, else the design's average."""
    if world.design is None:
        return jnp.sum((theta - world.thetas[0]) ** 2) / 2
    p, q = (jnp.log(probabilities(x, world.design)) for x in (world.thetas[0], theta))
    return jnp.mean(jnp.sum(jnp.exp(p) * (p - q), 1))


def statistics(rng, world, sizes, runs):
    """Sufficient statistics of fresh samples, sizes [1 + K] of every domain, drawn by a NumPy generator.

    Of a regression how often every row came with every class, [runs, 1 + K, M, C]: one multinomial draw, however many the samples. Of a
    Gaussian mean the samples' sum less sizes theta_0, [runs, 1 + K, p, 1].
    """
    thetas, shape = np.asarray(world.thetas), (runs, len(sizes))
    if world.design is None:
        size = np.asarray(sizes, float)[:, None, None]
        return size * (thetas - thetas[:1]) + np.sqrt(size) * rng.standard_normal((*shape, *thetas.shape[1:]))
    p = np.stack([np.asarray(probabilities(theta, world.design)) for theta in thetas]) / len(world.design)
    flat = p.reshape(len(p), -1)
    flat = flat / flat.sum(1, keepdims=True)
    counts = np.stack([rng.multinomial(int(n), q, runs) for n, q in zip(sizes, flat, strict=True)], 1)
    return counts.reshape(*shape, *p.shape[1:]).astype(float)
