"""The Gram matrix G = Delta' J Delta / d of parameter differences under Fisher information, by forward-mode products: J is never formed.

Every kind of Fisher information here is J = mean_i A_i' A_i with few rows per example, so G_kl = mean_i (A_i delta_k) . (A_i delta_l) / d,
and A_i delta_k is one Jacobian-vector product: a score, or the outputs' change in the metric of their distribution.
"""
import functools
import math
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Num, PyTree

KINDS = ('empirical', 'true', 'gauss_newton')


def fisher_gram(function: Callable, params: PyTree, deltas: PyTree | Iterator, batch: PyTree, *, kind: str | None = None,
                d: Num[ArrayLike, ''] | None = None, minibatch: int = 256) -> Float[Array, 'k k']:
    """G [K, K], symmetric and positive semi-definite by construction; float64 where function's outputs are, else float32.

    function(params, example): the log-probability of the example, a scalar, for kind 'empirical' (J = mean of squared scores at the
    data's labels); logits [C] for 'true' (the Fisher information of the softmax, exact and without labels, so with less variance) or
    outputs [C] for 'gauss_newton' (unit-variance Gaussian outputs). kind None: 'empirical' for a scalar, else 'true'.
    params: the pytree that was trained, a head or LoRA's alone if that is all that was; theta_0. deltas: the same pytree with a leading
    axis K, theta_k - theta_0; or an iterator of K such pytrees without it, taken one at a time. batch: a pytree with a leading example
    axis.
    d: the dimension to divide by, the number of parameters if None. minibatch: examples at once; all K products of one cost about 1 + K
    forward passes. Works under jit, and with sharded batches.
    Raises ValueError where shapes, trees or kind do not go together.
    """
    a = fisher_products(function, params, deltas, batch, kind=kind, minibatch=minibatch)
    return gram_of_products(a, dimension(params) if d is None else d)


def fisher_products(function: Callable, params: PyTree, deltas: PyTree | Iterator, batch: PyTree, *, kind: str | None = None,
                    minibatch: int = 256) -> Float[Array, 'k n rows']:
    """A_i delta_k: [K, n, R], R rows per example (1 for 'empirical', else the outputs); fisher_gram's arguments and dtype."""
    size = _examples(batch)
    kind = _kind(function, params, batch, kind)
    run = functools.partial(_products, function, kind, params, minibatch=min(minibatch, size))
    if not isinstance(deltas, Iterator):
        _check_deltas(params, jax.tree.map(lambda x: x[0], deltas))
        return run(deltas, batch)
    one = jax.jit(run)
    rows = []
    for delta in deltas:
        _check_deltas(params, delta)
        rows.append(one(jax.tree.map(lambda x: jnp.asarray(x)[None], delta), batch)[0])
    return jnp.stack(rows)


def dimension(params: PyTree) -> int:
    """The number of parameters."""
    return sum(math.prod(jnp.shape(leaf)) for leaf in jax.tree.leaves(params))


def _products(function, kind, params, deltas, batch, *, minibatch):
    """[K, n, R]: minibatches one after the other, in each all sources along one linearisation."""
    size = _examples(batch)
    count = -(-size // minibatch)
    pad = lambda x: jnp.concatenate([x, jnp.repeat(x[-1:], count * minibatch - size, 0)])
    # minibatch j holds examples j, j + count, ...: a batch that is sharded along its examples stays on its devices
    parts = jax.tree.map(lambda x: pad(jnp.asarray(x)).reshape(minibatch, count, *jnp.shape(x)[1:]).swapaxes(0, 1), batch)

    def one(part):
        outputs, tangent = jax.linearize(lambda p: jax.vmap(function, (None, 0))(p, part), params)
        return jax.lax.map(lambda delta: _in_metric(kind, outputs, tangent(_cast(delta, params))), deltas)

    a = jax.lax.map(one, parts)  # [count, K, minibatch, R]
    return a.transpose(1, 2, 0, 3).reshape(a.shape[1], minibatch * count, -1)[:, :size]


def _in_metric(kind, outputs, change):
    """Rows whose dot products are the Fisher metric of the outputs' distribution, [m, R]."""
    change = change.astype(jnp.float64 if change.dtype == jnp.float64 else jnp.float32)
    if kind == 'empirical':
        return change[:, None]
    if kind == 'gauss_newton':
        return change.reshape(len(change), -1)
    p = jax.nn.softmax(outputs.astype(change.dtype), axis=-1)  # diag(p) - p p' = R'R with R = diag(sqrt p) (I - 1 p')
    rows = jnp.sqrt(p) * (change - jnp.sum(p * change, -1, keepdims=True))
    return rows.reshape(len(rows), -1)


def gram_of_products(a: Float[Array, 'k n rows'], d: Num[ArrayLike, '']) -> Float[Array, 'k k']:
    """G [K, K] of products a [K, n, R]: the mean over examples of their dot products, divided by d. Raises ValueError for d <= 0."""
    return jnp.einsum('knr,lnr->kl', a, a, precision='highest') / (a.shape[1] * as_dimension(d, a.dtype))


def as_dimension(d: Num[ArrayLike, ''], dtype: jnp.dtype) -> Array:
    """d as an array of that dtype. Raises ValueError where it is not above 0; NaN where that is only seen under jit."""
    if np.ndim(d):
        raise ValueError(f'd is one number, got shape {np.shape(d)}')
    if not isinstance(d, jax.core.Tracer) and not 0 < float(d) < np.inf:
        raise ValueError(f'd = {d}: it is the number of parameters that were estimated, above 0')
    d = jnp.asarray(d, dtype)
    return jnp.where(d > 0, d, jnp.nan)


def _kind(function, params, batch, kind):
    example = jax.tree.map(lambda x: jax.ShapeDtypeStruct(jnp.shape(x)[1:], jnp.asarray(x).dtype), batch)
    shape = jax.eval_shape(function, params, example).shape
    kind = kind or ('true' if shape else 'empirical')
    if kind not in KINDS:
        raise ValueError(f'a kind of Fisher information is one of {KINDS}, got {kind!r}')
    if (kind == 'empirical') == bool(shape):
        wants = 'a log-probability, a scalar' if kind == 'empirical' else 'outputs [C]'
        raise ValueError(f'kind {kind!r} wants a function that returns {wants} for one example; this one returns shape {shape}')
    return kind


def _examples(batch):
    sizes = {jnp.shape(leaf)[0] if jnp.ndim(leaf) else None for leaf in jax.tree.leaves(batch)}
    if len(sizes) != 1 or not sizes - {0, None}:
        raise ValueError(f'every leaf of batch must have the same leading example axis, of at least 1; got {sorted(map(str, sizes))}')
    return sizes.pop()


def _check_deltas(params, delta):
    mine, theirs = (jax.tree.map(jnp.shape, tree) for tree in (params, delta))
    if mine != theirs:
        raise ValueError('a source\'s delta must be shaped like params, and deltas one pytree with a leading axis or an iterator: '
                         f'{theirs} is not {mine}')


def _cast(delta, params):
    return jax.tree.map(lambda x, p: jnp.asarray(x).astype(jnp.asarray(p).dtype), delta, params)
