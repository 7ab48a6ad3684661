"""The parts of debias_gram: a model of a Gram matrix with few numbers, and how far weights are shrunk towards those of the model."""
import jax
import jax.numpy as jnp

ROUNDS = 30  # of expectation maximisation; 20 and 60 give the same risk


def random_effects(gram: jax.Array, common: jax.Array, own: jax.Array, finite: jax.Array) -> jax.Array:
    """The maximum-likelihood G = c 11' + diag(t) [B, K, K], c and t >= 0, where gram [B, K, K] is the second moment of independent rows.

    theta_k = theta_0 + b + r_k: one bias b common to all sources, and one of its own, r_k, for each. Rows of the estimates' differences
    then have covariance (c + common) 11' + diag(t + own), K + 1 numbers where gram has K (K + 1) / 2. Fitted by expectation maximisation
    over b + theta_0. common [B] and own [B, K] are the noise; finite [B, K]: whether the noise of a source is finite; other sources get
    no weight.
    """
    diagonal = jnp.diagonal(gram, axis1=1, axis2=2)

    def improve(_, state):
        shared, apart = state
        precision = jnp.where(finite, 1 / apart, 0)
        spread = 1 / (jnp.sum(precision, 1) + 1 / shared)
        pull = jnp.einsum('bkl,bl->bk', gram, precision) * spread[:, None]
        mean_square = jnp.sum(precision * pull, 1) * spread + spread
        return jnp.maximum(mean_square, common), jnp.maximum(diagonal - 2 * pull + mean_square[:, None], own)

    start = common, jnp.maximum(diagonal - common[:, None], own)
    shared, apart = jax.lax.fori_loop(0, ROUNDS, improve, start)
    eye = jnp.eye(gram.shape[1], dtype=gram.dtype)[None]
    return (shared - common)[:, None, None] + (apart - own)[:, :, None] * eye


def mixing_weight(gram: jax.Array, simple: jax.Array, full: jax.Array, cost: jax.Array, common: jax.Array) -> jax.Array:
    """lambda [B] in [0, 1] for which the shares v = (1 - lambda) simple + lambda full [B, K] have the least estimated risk.

    For fixed v the estimate theta^_0 + sum_k v_k (theta^_k - theta^_0) has, up to a constant, the risk v'G^v - 2 common 1'v (Mallows' C_p,
    for any noise of the sources); fitting v adds 2 lambda cost common, approximately Stein's divergence term. Without the constraint
    this is the James-Stein estimator of the shares, shrunk towards the simple ones. cost [B]: degrees_of_freedom over d; common [B]: the
    target's noise.
    """
    step = full - simple
    change = jnp.einsum('bk,bkl->bl', step, gram)
    slope = jnp.sum(change * simple, 1) + common * (cost - jnp.sum(step, 1))
    curvature = jnp.sum(change * step, 1)
    return jnp.where(curvature > 0, jnp.clip(-slope / jnp.where(curvature > 0, curvature, 1), 0, 1), 1)


def degrees_of_freedom(gram: jax.Array, own: jax.Array, active: jax.Array) -> jax.Array:
    """tr((diag(own) + G)^-1 G) [B] over the active sources [B, K] (bool): as the degrees of freedom of a ridge fit."""
    gram = jnp.where(active[:, :, None] & active[:, None, :], gram, 0)
    noise = jnp.where(active, own, 1)[:, :, None] * jnp.eye(gram.shape[1], dtype=gram.dtype)[None]
    scale = jnp.sqrt(jnp.diagonal(noise + gram, axis1=1, axis2=2))
    outer = scale[:, :, None] * scale[:, None, :]
    return jnp.trace(jnp.linalg.solve((noise + gram) / outer, gram / outer), axis1=1, axis2=2)


def with_optimum(gram: jax.Array, sizes: jax.Array, u: jax.Array) -> jax.Array:
    """A matrix near gram [B, K, K] whose optimal effective sizes are u [B, K]: gram - (g g') / (u'g) + (y y') / (u'y), g = gram u.

    y = G u must be 1 - u / N where u > 0 and at least 1 elsewhere: a secant condition, met by the BFGS update, which keeps G >= 0.
    """
    before = jnp.einsum('bkl,bl->bk', gram, u)
    elsewhere = jnp.where(sizes > 0, jnp.maximum(before, 1), before)  # a source without samples has no condition
    secant = jnp.where(u > 0, 1 - u / jnp.where(u > 0, sizes, 1), elsewhere)
    outer = lambda y, min_product: _over(y[:, :, None] * y[:, None, :], jnp.maximum(jnp.sum(y * u, 1), min_product)[:, None, None])
    # |G u|^2 <= tr(G) u'G u holds exactly; where G u is rounding only, a computed u'G u could violate it, or be negative
    return gram - outer(before, jnp.sum(before**2, 1) / jnp.trace(gram, axis1=1, axis2=2)) + outer(secant, 0)


def _over(numerator, denominator):
    return jnp.where(denominator > 0, numerator / jnp.where(denominator > 0, denominator, 1), 0)
