"""Measurement: the worth of sources to a target, measured from fits: G in units of the fits' noise, and the target's shortfall.

This module decides three points that the papers leave open. Noise: a regularised fit of n samples has variance c d/n and not d/n; c is
measured by the jackknife, from fits that each leave out one fold of the target. Bias of G: debias_gram, and evidence.COMMON_BIAS.
Shortfall: the error of a target with five labels a class is larger than its variance, since regularisation adds bias; the factor tau on
its error is 1 unless fits on folds of the training rows clearly prefer a larger one; where they prefer no source, the sources get no
weight.
"""
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from transfer_jax.budget import budgeted_weights
from transfer_jax.debias import project_psd
from transfer_jax.evidence import MORE
from transfer_jax.fisher import fisher_products, gram_of_products
from transfer_jax.quantities import transfer_quantities
from transfer_jax.solver.solution import Solution
from transfer_jax.weights import source_weights

SHORTFALLS = (1.0, *MORE)
LEAST_NOISE = 1e-6  # part of the largest entry of raw G: fits on folds of equal rows are equal, and have none
NO_SOURCES = 0.0  # this value of the shortfall means: use no sources


@struct.dataclass
class Measurement:
    """One problem [S] for each seed: raw and debiased gram [S, K, K] in units of the noise of one sample, noise c [S], shortfall tau [S].

    target_size [], source_sizes [K]. tau is NO_SOURCES, or at least 1. common: what every entry of G is expected to be larger by, in units
    of 1 / N0.
    """
    raw: jax.Array
    gram: jax.Array
    noise: jax.Array
    shortfall: jax.Array
    target_size: jax.Array
    source_sizes: jax.Array
    common: float = 0.0

    def weights(self) -> Solution:
        """The Solution of UOWQ: weights [S, K] of a source's sample relative to a target's, which counts as 1 / tau of one."""
        solution = in_float64(source_weights, self.target_size / self._factor, self.source_sizes, self.expected_gram)
        return solution.replace(weights=solution.weights * self.shortfall[:, None])

    def amounts(self) -> Solution:
        """The Solution of OTQMS: quantities [S, K] that minimise (tau N0 + s + n'G n) / (N0 + s)^2, s = sum n.

        With v0 = N0 / (N0 + s) and 1'v = 1 - v0 that is, but for a constant, (2 tau - 1) times the problem whose gram is
        (G + (tau - 1) / N0 11') / (2 tau - 1).
        """
        tau = self._factor[:, None, None]
        gram = (self.gram + (tau - 1) / self.target_size) / (2 * tau - 1)
        solution = in_float64(functools.partial(transfer_quantities, integer=True), self.target_size, self.source_sizes, gram)
        return solution.replace(quantities=jnp.where(self.shortfall[:, None] == NO_SOURCES, 0, solution.quantities))

    def within(self, budget: float, costs: Sequence[float]) -> Solution:
        """The Solution of UOWQ in whole samples that cost at most the part `budget` [] of all samples' cost; costs [K] of one sample."""
        wide = lambda x: jnp.broadcast_to(x, (len(self.shortfall), len(costs)))
        sizes, costs = wide(self.source_sizes), wide(jnp.asarray(costs, jnp.float32))
        solution = in_float64(budgeted_weights, self.target_size / self._factor, sizes, self.expected_gram,
                              budget * jnp.sum(costs * sizes, -1), costs)
        quantities = jnp.where(self.shortfall[:, None] == NO_SOURCES, 0, jnp.floor(solution.quantities))
        return solution.replace(weights=solution.weights * self.shortfall[:, None], quantities=quantities)

    def error(self, weights: jax.Array, quantities: jax.Array) -> jax.Array:
        """F [S] = (tau N0 + sum w^2 n + u'G u) / (N0 + sum u)^2 of weights and quantities [S, K], u = w n."""
        u = weights * quantities
        bias = jnp.einsum('sk,skl,sl->s', u, self.expected_gram, u, precision='highest')
        return (self._factor * self.target_size + jnp.sum(weights * u, 1) + bias) / (self.target_size + jnp.sum(u, 1)) ** 2

    @property
    def expected_gram(self) -> jax.Array:
        """G + common / N0 in every entry [S, K, K]: what weights are decided from; quantities are from the measured G, as published."""
        return self.gram + self.common / self.target_size

    @property
    def _factor(self):
        """tau, at least 1."""
        return jnp.maximum(self.shortfall, 1)


def in_float64(solve: Callable[..., Solution], target: jax.Array, sizes: jax.Array, gram: jax.Array, *more: jax.Array) -> Solution:
    """solve(target, sizes, gram [S, K, K], *more) in float64, its results in float32: in float32 biases that cancel have none.

    The gram's eigenvalues that are negative by its own rounding become 0.
    """
    with jax.enable_x64(True):
        wide = [jnp.asarray(np.asarray(x, np.float64)) for x in (target, sizes, gram, *more)]
        solution = jax.tree.map(np.asarray, solve(wide[0], wide[1], project_psd(wide[2]), *wide[3:]))
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32 if x.dtype == np.float64 else x.dtype), solution)


@functools.partial(jax.jit, static_argnames=('apply', 'kind'))
def raw_gram(apply: Callable[[Any, Any, jax.Array], jax.Array], frozen: Any, at: Any, target: Any, sources: Any, folds: Any,
             inputs: jax.Array, *, kind: str, target_size: int, d: int) -> tuple[jax.Array, jax.Array]:
    """(G / c [S, K, K], c [S]): the gram of sources - target and the noise of one sample, in the metric of the model `at`.

    apply(params, frozen, inputs [n, ...]) -> outputs. at, target: parameters [S, ...] of where J is taken, and of the target's own fit;
    sources [S, K, ...]; folds [S, F, ...], each without one fold, or None: then c = 1, which is right for unregularised fits. inputs [S,
    n, ...]. By the jackknife c d / N0 = (F - 1) / F sum_f |theta_f - mean|^2_J.
    """
    function = lambda params, x: apply(params, frozen, x[None])[0]

    def one(problem):
        at, target, sources, folds, inputs = problem
        deltas = jax.tree.map(lambda theirs, ours: theirs - ours[None], sources, target)
        count = len(jax.tree.leaves(sources)[0])
        if folds is not None:
            deviations = jax.tree.map(lambda x: x - jnp.mean(x, 0, keepdims=True), folds)
            deltas = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), deltas, deviations)
        gram = gram_of_products(fisher_products(function, at, deltas, inputs, kind=kind), d)
        fold_count = len(gram) - count
        noise = (jnp.trace(gram[count:, count:]) * (fold_count - 1) / fold_count * target_size if fold_count else jnp.float32(1))
        noise = jnp.maximum(noise, LEAST_NOISE * jnp.max(jnp.diagonal(gram)[:count]) + 1e-30)
        return gram[:count, :count] / noise, noise
    return jax.lax.map(one, (at, target, sources, folds, inputs))
