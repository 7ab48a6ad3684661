"""WADN (Shui et al., ICML 2021): sources with their labels reweighted to the target's law, mixed by their losses and class distances."""
import functools

import jax
import jax.numpy as jnp
import numpy as np

from transfer_jax.experiment.lab.lab import Lab
from transfer_jax.experiment.methods.correlation import class_means
from transfer_jax.experiment.methods.protocol import Outcome, outcome
from transfer_jax.experiment.training.policy import Policy

ROWS = 256       # of each source, for losses and centroids
DISTANCE = 1.0   # C_0, of the distance of classes beside the loss
SPREAD = 1.0     # C_1 is this times the largest cost, as in the authors' program: a larger one spreads lambda over more sources
SMOOTHING = 1.0  # labels of every class that are added to the target's before their law is estimated
EQUAL = 1e-6     # factors this near to 1 are left out
FIT = 'wadn_reweighted'  # not 'wadn', which in folders of earlier versions is a fit without factors


def run(lab: Lab) -> Outcome:
    """The target's mean loss plus sum_k lambda_k R_k, R_k = sum_i alpha_k(y_i) l_ki / N_k with alpha_k(y) = T(y) / S_k(y).

    lambda is solved for again on the controller's schedule, from the costs R_k + C_0 D_k at the current parameters. D_k is the mean of the
    distances of class centroids under T, in place of the class-conditional Wasserstein distance, which is no smaller.
    """
    ratios = label_ratios(lab)

    def controller(params, policy, step):
        new_policy = _policy(lab, mixture(_costs(lab, params, ratios)), ratios)
        part = lab.control.damping if step else 1.0
        return policy.replace(weights=policy.weights + part * (new_policy.weights - policy.weights))
    even = np.full((len(lab.splits), len(lab.sources)), 1 / len(lab.sources))
    return outcome(lab, lab.fit(FIT, _policy(lab, even, ratios), controller=controller))


def label_ratios(lab: Lab) -> np.ndarray:
    """alpha [S, K, C]: T(y) / S_k(y), 0 for a class that source k has not, scaled to mean 1 over the source's samples."""
    count = lambda labels: np.bincount(np.asarray(labels), minlength=len(lab.classes))
    own = np.stack([count(lab.domains[source].labels) for source in lab.sources]) / lab.sizes[:, None]
    covered = _law(lab)[:, None] * (own > 0)
    return covered / np.where(own > 0, own, 1) / covered.sum(-1, keepdims=True)


def _law(lab):
    """T(y) [S, C], from the target's training labels."""
    counts = SMOOTHING + np.stack([np.bincount(row, minlength=len(lab.classes)) for row in lab.labels[lab.train]])
    return counts / counts.sum(1, keepdims=True)


def mixture(costs: np.ndarray) -> np.ndarray:
    """lambda [S, K] on the simplex that minimises sum_k lambda_k c_k + C_1 |lambda|, of costs c [S, K].

    lambda_k is proportional to max(m - c_k, 0), and m the root of sum_k max(m - c_k, 0)^2 = C_1^2.
    """
    c, count = np.sort(costs, 1), np.arange(1, costs.shape[1] + 1)
    spread = np.maximum(SPREAD * costs.max(1, keepdims=True), 1e-12)
    first, second = np.cumsum(c, 1), np.cumsum(c**2, 1)
    takes_part = count * c**2 - 2 * first * c + second < spread**2  # of the sorted sources: the first few
    last = takes_part.sum(1, keepdims=True) - 1
    total, (first, second) = last + 1, (np.take_along_axis(x, last, 1) for x in (first, second))
    m = (first + np.sqrt(np.maximum(first**2 - total * (second - spread**2), 0))) / total
    part = np.maximum(m - costs, 0)
    return part / part.sum(1, keepdims=True)


def _policy(lab, part, ratios) -> Policy:
    """The Policy in which source k counts as part [S, K] of N0 samples of the target, its classes by alpha."""
    policy = lab.policy(part * lab.target_size / lab.sizes)
    if np.abs(ratios - 1).max() < EQUAL:
        return policy
    factors = np.ones((*policy.weights.shape, ratios.shape[-1]), np.float32)
    factors[:, list(lab.sources)] = ratios
    return policy.replace(class_factors=jnp.asarray(factors))


def _costs(lab, params, ratios):
    """c [S, K] at parameters [S, ...]."""
    program = _program(lab.trainer.model, lab.trainer.loss, lab.trunk_trained, len(lab.classes))
    repeat = lambda x: jnp.repeat(x[None], len(lab.splits), 0)
    law = _law(lab)
    own, _ = program(params, lab.trainer.frozen, lab.inputs(lab.train), jnp.asarray(lab.labels[lab.train]), jnp.ones(law.shape))
    costs = []
    for number, source in enumerate(lab.sources):
        domain = lab.domains[source]
        rows = np.random.default_rng((lab.first_seed, source)).permutation(len(domain))[:ROWS]
        labels = jnp.asarray(domain.labels[rows])
        means, loss = program(params, lab.trainer.frozen, repeat(lab.inputs(rows, source)), repeat(labels), jnp.asarray(ratios[:, number]))
        distance = jnp.linalg.norm(means - own, axis=-1) / jnp.maximum(jnp.linalg.norm(own, axis=-1), 1e-6)
        present = law * np.isin(np.arange(law.shape[1]), domain.labels[rows])
        costs.append(np.asarray(loss) + DISTANCE * np.sum(np.asarray(distance) * present, 1) / np.maximum(present.sum(1), 1e-12))
    return np.stack(costs, 1)


@functools.cache
def _program(model, loss, trunk_trained, classes):
    """(class means [S, C, D] of features, mean of factor [S, C] times loss [S]) of parameters [S, ...] and inputs [S, n, ...]."""
    features = model.features if trunk_trained else model.apply

    def one(params, frozen, inputs, labels, factors):
        means, _ = class_means(features(params, frozen, inputs), labels, classes)
        return means, jnp.mean(factors[labels] * loss(model.apply(params, frozen, inputs), labels))
    return jax.jit(jax.vmap(one, (0, None, 0, 0, 0)))
