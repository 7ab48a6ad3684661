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
    features = np.moveaxis(lab.source_features(), 1, 2)
    flat = features.reshape(*features.shape[:2], -1)
    labelled = np.stack([one[rows] for one, rows in zip(flat, lab.train, strict=True)])
    centre, matrix, shares = map(np.asarray, _program(len(lab.classes))(labelled, lab.labels[lab.train]))
    return combine(lab, log_posterior((flat - centre[:, None]) @ matrix, shares[:, None]))


@functools.cache
def _program(classes):
    """_weighted for many seeds: of training rows alone, so one program serves targets of any size."""
    return jax.jit(jax.vmap(functools.partial(_weighted, classes=classes)))


def _weighted(labelled, labels, classes):
    """(centre m [K D], matrix M [K D, C], shares [C]) from features [N0, K D] of rows with labels: a row's score is (features - m) M."""
    spread, centre = jnp.std(labelled, 0), jnp.mean(labelled, 0)
    scale = jnp.where(spread > 1e-6, 1 / jnp.maximum(spread, 1e-6), 0)
    means, shares = class_means((labelled - centre[None]) * scale[None], labels, classes)
    return centre, scale[:, None] * means.T, shares  # sigma g(y) = E[f | y] where f has variance 1
