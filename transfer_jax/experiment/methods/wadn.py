"""WADN (Shui et al., ICML 2021): weights by the sources' losses and by the distance of their classes' features from the target's."""
import functools

import jax
import jax.numpy as jnp
import numpy as np

from transfer_jax.experiment.lab.lab import Lab
from transfer_jax.experiment.methods.correlation import class_means, on_simplex
from transfer_jax.experiment.methods.protocol import Outcome, outcome

ROWS = 256     # of each source, for losses and centroids
SPREAD = 1.0   # weight of |lambda|^2: a larger one spreads lambda over more sources


def run(lab: Lab) -> Outcome:
    """lambda on the simplex minimises sum_k lambda_k (R_k + D_k) + SPREAD |lambda|^2: R_k the fit's loss on source k, D_k the mean distance
    of its classes' centroids to the target's; solved again on the controller's schedule. The loss is then the target's mean loss plus
    sum_k lambda_k times source k's. Centroids stand in for the class-conditional Wasserstein distance; the
    paper's reweighting of labels is omitted, since the target is stratified.
    """
    def controller(params, policy, step):
        mixture = _mixture(lab, params)
        new_policy = lab.policy(mixture * lab.target_size / lab.sizes)
        part = lab.control.damping if step else 1.0
        return policy.replace(weights=policy.weights + part * (new_policy.weights - policy.weights))
    even = np.full((len(lab.splits), len(lab.sources)), 1 / len(lab.sources))
    return outcome(lab, lab.fit('wadn', lab.policy(even * lab.target_size / lab.sizes), controller=controller))


def _mixture(lab, params):
    """lambda [S, K] for the current parameters [S, ...] of the fit."""
    classes = len(lab.classes)
    own = _centroids(lab, params, lab.inputs(lab.train), jnp.asarray(lab.labels[lab.train]), classes)[0]
    costs = []
    for source in lab.sources:
        domain = lab.domains[source]
        rows = np.random.default_rng((lab.first_seed, source)).permutation(len(domain))[:ROWS]
        repeat = lambda x: jnp.repeat(x[None], len(lab.splits), 0)
        inputs, labels = repeat(lab.inputs(rows, source)), repeat(jnp.asarray(domain.labels[rows]))
        means, shares, loss = _centroids(lab, params, inputs, labels, classes)
        distance = jnp.linalg.norm(means - own, axis=-1) / jnp.maximum(jnp.linalg.norm(own, axis=-1), 1e-6)
        costs.append(loss + jnp.mean(distance, -1, where=shares > 0))
    return np.asarray(jax.vmap(on_simplex)(-jnp.stack(costs, -1) / (2 * SPREAD)))


def _centroids(lab, params, inputs, labels, classes):
    """(class means [S, C, D] of features, shares [S, C], mean loss [S]) of inputs [S, n, ...]."""
    return _program(lab.trainer.model, lab.trainer.loss, lab.trunk_trained, classes)(params, lab.trainer.frozen, inputs, labels)


@functools.cache
def _program(model, loss, trunk_trained, classes):
    features = model.features if trunk_trained else model.apply

    def one(params, frozen, inputs, labels):
        means, shares = class_means(features(params, frozen, inputs), labels, classes)
        return means, shares, jnp.mean(loss(model.apply(params, frozen, inputs), labels))
    return jax.jit(jax.vmap(one, (0, None, 0, 0)))
