"""H-ensemble (Wu, Xu and Huang, AAAI 2024): one mixture of the source fits' features, the one whose H-score on the target is highest."""
import functools

import jax
import jax.numpy as jnp
import numpy as np

from transfer_jax.experiment.lab.lab import Lab
from transfer_jax.experiment.methods.correlation import class_means, covariance, log_posterior, on_simplex, whiten
from transfer_jax.experiment.methods.protocol import Outcome, combine

ROUNDS, LEARNING_RATE = 200, 0.05


def run(lab: Lab) -> Outcome:
    """f = sum_k a_k f_k, a on the simplex, maximises H(f) = tr(cov(f)^-1 cov(E[f | y])) over the target's training rows; the classifier is
    p(y) (1 + f~(x) . E[f~ | y]), f~ whitened. Nothing is trained on the target.
    """
    outputs, mixture = _program(len(lab.classes))(lab.source_features(), lab.train, lab.labels[lab.train])
    return combine(lab, np.asarray(outputs), mixture=np.asarray(mixture))


@functools.cache
def _program(classes):
    """_ensemble for many seeds, compiled once for all targets of as many rows."""
    return jax.jit(jax.vmap(functools.partial(_ensemble, classes=classes)))


def _ensemble(features, rows, labels, classes):
    """(outputs [n, C], mixture a [K]) from features [K, n, D], and the labels of some rows."""
    labelled = features[:, rows]
    labelled = labelled / jnp.maximum(jnp.std(labelled, axis=(1, 2), keepdims=True), 1e-6)

    def improve(_, a):
        step = jax.grad(lambda a: h_score(jnp.einsum('k,knd->nd', a, labelled), labels, classes))(a)
        return on_simplex(a + LEARNING_RATE * step / (jnp.linalg.norm(step) + 1e-12))
    a = jax.lax.fori_loop(0, ROUNDS, improve, jnp.full(len(features), 1 / len(features)))
    mixture = jnp.einsum('k,knd->nd', a, features / jnp.maximum(jnp.std(features[:, rows], axis=(1, 2), keepdims=True), 1e-6))
    f = whiten(mixture, mixture[rows])
    means, shares = class_means(f[rows], labels, classes)
    return log_posterior(f @ means.T, shares), a


def h_score(features: jax.Array, labels: jax.Array, classes: int) -> jax.Array:
    """H = tr(cov(f)^-1 cov(E[f | y])) of features [n, D]."""
    means, shares = class_means(features - jnp.mean(features, 0)[None], labels, classes)
    return jnp.trace(jnp.linalg.solve(covariance(features), jnp.einsum('c,cd,ce->de', shares, means, means)))
