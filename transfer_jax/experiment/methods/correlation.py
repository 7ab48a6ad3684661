"""Classifiers from features by maximal correlation: a softmax head as a least-squares fit, in closed form."""
import jax
import jax.numpy as jnp
import numpy as np
from optax.projections import projection_simplex

RIDGE = 1e-2  # part of the mean variance that is added to every variance: there are fewer examples than features
FLOOR = 1e-3  # smallest part of its prior that a posterior may be: the expansion can be negative


def class_means(features: jax.Array, labels: jax.Array, classes: int) -> tuple[jax.Array, jax.Array]:
    """(means [C, D] of features [n, D] by class, shares [C]); a class without examples has mean 0."""
    member = jax.nn.one_hot(labels, classes)
    count = jnp.sum(member, 0)
    return member.T @ features / jnp.maximum(count, 1)[:, None], count / len(labels)


def whitening(features: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(mean [D], matrix [D, D]) of features [n, D]: (features - mean) @ matrix has the identity as its covariance."""
    values, vectors = jnp.linalg.eigh(covariance(features))
    return jnp.mean(features, 0), vectors / jnp.sqrt(values)[None]


def covariance(features: jax.Array) -> jax.Array:
    """Covariance [D, D] of features [n, D] with RIDGE on its diagonal."""
    deviation = features - jnp.mean(features, 0)[None]
    raw = deviation.T @ deviation / len(features)
    return raw + (RIDGE * jnp.trace(raw) / len(raw) + 1e-8) * jnp.eye(len(raw))


def log_posterior(score: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """log of p(y) (1 + score [..., C]), floored and normalised, float32: outputs like logits. shares p(y) broadcast to the score."""
    p = np.maximum(shares * (1 + score), FLOOR * shares + 1e-9)
    return np.log(p / p.sum(-1, keepdims=True)).astype(np.float32)


def on_simplex(x: jax.Array) -> jax.Array:
    """The nearest point to x [K] with entries of at least 0 that sum to 1."""
    with jax.numpy_dtype_promotion('standard'):  # optax divides by int32 ranks
        return projection_simplex(x)
