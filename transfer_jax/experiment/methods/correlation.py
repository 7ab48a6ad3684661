"""Classifiers from features by maximal correlation: a softmax head as a least-squares fit, in closed form."""
import jax
import jax.numpy as jnp
from optax.projections import projection_simplex

RIDGE = 1e-2  # part of the mean variance that is added to every variance: there are fewer examples than features
FLOOR = 1e-3  # smallest part of its prior that a posterior may be: the expansion can be negative


def class_means(features: jax.Array, labels: jax.Array, classes: int) -> tuple[jax.Array, jax.Array]:
    """(means [C, D] of features [n, D] by class, shares [C]); a class without examples has mean 0."""
    member = jax.nn.one_hot(labels, classes)
    count = jnp.sum(member, 0)
    return member.T @ features / jnp.maximum(count, 1)[:, None], count / len(labels)


def whiten(features: jax.Array, reference: jax.Array) -> jax.Array:
    """Features [m, D] minus the mean of the reference [n, D], divided by the square root of its covariance."""
    centre = jnp.mean(reference, 0)
    values, vectors = jnp.linalg.eigh(covariance(reference))
    return (features - centre[None]) @ (vectors / jnp.sqrt(values)[None])


def covariance(features: jax.Array) -> jax.Array:
    """Covariance [D, D] of features [n, D] with RIDGE on its diagonal."""
    deviation = features - jnp.mean(features, 0)[None]
    raw = deviation.T @ deviation / len(features)
    return raw + (RIDGE * jnp.trace(raw) / len(raw) + 1e-8) * jnp.eye(len(raw))


def log_posterior(score: jax.Array, shares: jax.Array) -> jax.Array:
    """log of p(y) (1 + score [n, C]), floored and normalised: outputs like logits."""
    p = jnp.maximum(shares[None] * (1 + score), FLOOR * shares[None] + 1e-9)
    return jnp.log(p / jnp.sum(p, -1, keepdims=True))


def on_simplex(x: jax.Array) -> jax.Array:
    """The nearest point to x [K] with entries of at least 0 that sum to 1."""
    with jax.numpy_dtype_promotion('standard'):  # optax divides by int32 ranks
        return projection_simplex(x)
