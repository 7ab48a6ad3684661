"""Classifiers from features by maximal correlation: what a softmax head would be if it were a least-squares fit, in closed form."""
import jax
import jax.numpy as jnp
from optax.projections import projection_simplex

RIDGE = 1e-2  # of the mean variance, added to every variance: there are fewer examples than features
FLOOR = 1e-3  # of a probability: the expansion can turn negative


def class_means(features, labels, classes):
    """(means [C, D] of features [n, D] by class, shares [C]); a class without examples has mean 0."""
    member = jax.nn.one_hot(labels, classes)
    count = jnp.sum(member, 0)
    return member.T @ features / jnp.maximum(count, 1)[:, None], count / len(labels)


def whiten(features, among):
    """Features [m, D] centred and divided by the square root of the covariance of those among [n, D]."""
    centre = jnp.mean(among, 0)
    values, vectors = jnp.linalg.eigh(covariance(among))
    return (features - centre[None]) @ (vectors / jnp.sqrt(values)[None])


def covariance(features):
    """Covariance [D, D] of features [n, D] with RIDGE on its diagonal."""
    apart = features - jnp.mean(features, 0)[None]
    raw = apart.T @ apart / len(features)
    return raw + (RIDGE * jnp.trace(raw) / len(raw) + 1e-8) * jnp.eye(len(raw))


def log_posterior(score, shares):
    """log of p(y) (1 + score [n, C]), floored and normalised: outputs like logits."""
    p = jnp.maximum(shares[None] * (1 + score), FLOOR * shares[None] + 1e-9)
    return jnp.log(p / jnp.sum(p, -1, keepdims=True))


def on_simplex(x):
    """The nearest point to x [K] with entries of at least 0 that sum to 1."""
    with jax.numpy_dtype_promotion('standard'):  # optax divides by int32 ranks
        return projection_simplex(x)
