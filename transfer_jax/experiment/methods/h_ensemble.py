"""H-ensemble (Wu, Xu and Huang, AAAI 2024): one mixture of the source fits' features, the one whose H-score on the target is highest."""
import functools

import jax
import jax.numpy as jnp
import numpy as np

from transfer_jax.experiment.lab.lab import Lab
from transfer_jax.experiment.methods.correlation import class_means, covariance, log_posterior, on_simplex, whitening
from transfer_jax.experiment.methods.protocol import Outcome, combine

ROUNDS, LEARNING_RATE = 200, 0.05


def run(lab: Lab) -> Outcome:
    """f = sum_k a_k f_k, a on the simplex, maximises H(f) = tr(cov(f)^-1 cov(E[f | y])) over the target's training rows; the classifier is
    p(y) (1 + f~(x) . E[f~ | y]), f~ whitened. Nothing is trained on the target.
    """
    features = lab.source_features()
    labelled = np.stack([one[:, rows] for one, rows in zip(features, lab.train, strict=True)])
    mixture, scaled, centre, matrix, shares = map(np.asarray, _program(len(lab.classes))(labelled, lab.labels[lab.train]))
    score = (np.einsum('sk,sknd->snd', scaled, features) - centre[:, None]) @ matrix
    return combine(lab, log_posterior(score, shares[:, None]), mixture=mixture)


@functools.cache
def _program(classes):
    """_ensemble for many seeds: of training rows alone, so one program serves targets of any size."""
    return jax.jit(jax.vmap(functools.partial(_ensemble, classes=classes)))


def _ensemble(labelled, labels, classes):
    """(mixture a [K], b [K], centre m [D], matrix M [D, C], shares [C]) from features [K, N0, D] of rows with labels: the score of a row of
    features f_k [D] is (sum_k b_k f_k - m) M.
    """
    spread = jnp.maximum(jnp.std(labelled, axis=(1, 2)), 1e-6)
    labelled = labelled / spread[:, None, None]

    def improve(_, a):
        step = jax.grad(lambda a: h_score(jnp.einsum('k,knd->nd', a, labelled), labels, classes))(a)
        return on_simplex(a + LEARNING_RATE * step / (jnp.linalg.norm(step) + 1e-12))
    a = jax.lax.fori_loop(0, ROUNDS, improve, jnp.full(len(labelled), 1 / len(labelled)))
    mixture = jnp.einsum('k,knd->nd', a, labelled)
    centre, transform = whitening(mixture)
    means, shares = class_means((mixture - centre[None]) @ transform, labels, classes)
    return a, a / spread, centre, transform @ means.T, shares


def h_score(features: jax.Array, labels: jax.Array, classes: int) -> jax.Array:
    """H = tr(cov(f)^-1 cov(E[f | y])) of features [n, D]."""
    means, shares = class_means(features - jnp.mean(features, 0)[None], labels, classes)
    return jnp.trace(jnp.linalg.solve(covariance(features), jnp.einsum('c,cd,ce->de', shares, means, means)))
