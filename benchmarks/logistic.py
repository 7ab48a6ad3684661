"""Logistic regressions, refitted on weighted samples of the target and five sources: their KL from the true distribution."""
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.studies.theory.refits import fit
from benchmarks.studies.theory.worlds import information
from transfer_jax.fisher import fisher_gram
from transfer_jax.weights import source_weights

DISTANCES = (0.2, 8)  # N0 G_kk of the best source and of the worst, about
INFORMATION = 0.2  # Fisher information of a coordinate, about, at |theta| = 1 and standard normal inputs


def logistic_run(key, d, target_size, more, estimators):
    """KL of one draw, {'target': [], estimator: [], 'oracle': []}: |theta_0| about 1, standard normal inputs, sources of more N0 samples.

    J is that of the target's inputs, at its own estimate; the oracle's at the truth, with the true differences.
    """
    keys, distances = jax.random.split(key, 5), jnp.geomspace(*DISTANCES, 5)
    sources = len(distances)
    sizes = jnp.full(sources, float(more))  # over N0, as G is times N0
    theta = jax.random.normal(keys[0], (d,)) / d**0.5
    biases = (distances / target_size / INFORMATION)[:, None] ** 0.5 * jax.random.normal(keys[1], (sources, d))
    truth = jnp.concatenate([theta[None], theta + biases])
    owner = jnp.repeat(jnp.arange(sources + 1), jnp.array([target_size] + [more * target_size] * sources),
                       total_repeat_length=target_size * (1 + more * sources))
    x = jax.random.normal(keys[2], (len(owner), d))
    y = jax.random.bernoulli(keys[3], jax.nn.sigmoid(jnp.sum(x * truth[owner], 1))).astype(x.dtype)
    refit_with = lambda weights: weighted_fit(x, y, weights[owner])
    fits = jax.lax.map(refit_with, jnp.eye(sources + 1))
    fisher = lambda points: fisher_gram(lambda p, one: jnp.stack([one @ p, 0 * one[0]]), points[0], points[1:] - points[0], x[:target_size])
    gram = fisher(fits).astype(x.dtype) * target_size
    grams = {key: estimate(gram, sizes, d) for key, estimate in estimators.items()} | {'oracle': fisher(truth) * target_size}
    fresh = jax.random.normal(keys[4], (5000, d))
    error = lambda params: jnp.mean(divergence(fresh @ theta, fresh @ params))
    weigh = lambda gram: jnp.concatenate([jnp.ones(1), source_weights(1.0, sizes, gram).weights])
    return {'target': error(fits[0])} | {key: error(refit_with(weigh(gram))) for key, gram in grams.items()}


def weighted_fit(x, y, weights):
    """The weighted maximum-likelihood fit [d]."""
    start = jnp.zeros((x.shape[1], 1), x.dtype)
    factor = jnp.linalg.cholesky(information(start, x, weights / jnp.sum(weights)))
    return fit(start, weights[:, None] * jnp.stack([y, 1 - y], 1), x, factor)[:, 0]


def divergence(true, other):
    """KL of Bernoulli distributions with these logits."""
    return jax.nn.sigmoid(true) * (true - other) - jax.nn.softplus(true) + jax.nn.softplus(other)


def refit(d, target_size, more, estimators, runs, seed):
    """{name: KL [runs]} of logistic_run."""
    one = jax.jit(lambda key: logistic_run(key, d, target_size, more, estimators))
    results = [jax.device_get(one(key)) for key in jax.random.split(jax.random.key(seed), runs)]
    return {name: np.array([run[name] for run in results]) for name in results[0]}
