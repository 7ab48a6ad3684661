"""MCW, maximal correlation weighting (Lee, Sattigeri and Wornell, NeurIPS 2019): features of all source fits, weighted by target labels."""
import functools

import jax
import jax.numpy as jnp
import numpy as np

from transfer_jax.experiment.lab.lab import Lab
from transfer_jax.experiment.methods.correlation import class_means, log_posterior
from transfer_jax.experiment.methods.protocol import Outcome, combine


def run(lab: Lab) -> Outcome:
    """p(y | x) = p(y) (1 + sum_ki sigma_ki f_ki(x) g_ki(y)), with f_ki feature i of source k's fit at mean 0 and variance 1 over the
    target's training rows, g_ki(y) = E[f_ki | y] at variance 1, and sigma_ki = E[f_ki g_ki]. Nothing is trained on the target.
    """
    return combine(lab, np.asarray(_program(len(lab.classes))(lab.source_features(), lab.train, lab.labels[lab.train])))


@functools.cache
def _program(classes):
    """_posterior for many seeds, compiled once for all targets of as many rows."""
    return jax.jit(jax.vmap(functools.partial(_posterior, classes=classes)))


def _posterior(features, rows, labels, classes):
    """Outputs [n, C] from features [K, n, D]."""
    flat = jnp.moveaxis(features, 0, 1).reshape(features.shape[1], -1)
    labelled = flat[rows]
    scale = jnp.std(labelled, 0)
    f = jnp.where(scale > 1e-6, (flat - jnp.mean(labelled, 0)[None]) / jnp.maximum(scale, 1e-6)[None], 0)
    means, shares = class_means(f[rows], labels, classes)
    return log_posterior(f @ means.T, shares)  # sigma g(y) = E[f | y] where f has variance 1
