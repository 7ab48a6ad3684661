"""u* = argmin_{u >= 0} u'(D + G) u / 2 - 1'u of a batch of problems: scaled, solved by pivoting, refined, certified, differentiable."""
import functools

import jax
import jax.numpy as jnp
import numpy as np

from transfer_jax.solver.factor import cholesky_solve, columns, gathered, unrolled
from transfer_jax.solver.pivoting import pivot

SMALL, MIDDLING = 8, 16  # largest K of each layout
CHUNK = {'small': 512, 'middling': 16, 'large': 1}
REFINEMENTS = 1
GUESSES = 15


def scaled(sizes, gram):
    """A = C (I + s G s) C of unit diagonal, b = C s and C for s = sqrt(N) [..., K], so that u = s C x: safe in float32 at any scale."""
    root = jnp.sqrt(sizes)
    core = root[..., :, None] * gram * root[..., None, :]
    c = jax.lax.rsqrt(1 + jnp.diagonal(core, axis1=-2, axis2=-1))
    a = c[..., :, None] * core * c[..., None, :]
    eye = jnp.eye(sizes.shape[-1], dtype=bool)
    return jnp.where(eye[None], 1, a), c * root, c


@jax.custom_jvp
def optimal_sizes(sizes, gram):
    """(u [B, K], (residual [B], unfinished [B], definite [B], rounds [B])) for sizes N [B, K] and gram [B, K, K] in one float dtype.

    u* is unique for N > 0; u_k = 0 where N_k = 0. Differentiable: on the support S, du_S = M_SS^-1 (D^2 u dN - dG u)_S with M = D + G.
    """
    a, b, c = scaled(sizes, gram)
    x, certificate = _chunked(a, b)
    return jnp.sqrt(sizes) * c * x, certificate


@optimal_sizes.defjvp
def _derivative(primals, tangents):
    sizes, gram = primals
    u, certificate = optimal_sizes(sizes, gram)
    a, _, c = scaled(sizes, gram)
    scale, free = c * jnp.sqrt(sizes), u > 0
    # D^2 u = u / N^2 is 0 / 0 off the support
    right = jnp.where(free, u / jnp.where(free, sizes, 1) ** 2 * tangents[0] - jnp.einsum('bkl,bl->bk', tangents[1], u), 0)
    both = free[:, :, None] & free[:, None, :]
    lower = jax.lax.linalg.cholesky(jnp.where(both, a, jnp.eye(a.shape[-1], dtype=a.dtype)[None]), symmetrize_input=False)
    du = scale * cholesky_solve(lower, jnp.where(free, scale * right, 0))
    return (u, certificate), (du, jax.tree.map(_no_tangent, certificate))


def _no_tangent(leaf):
    return jnp.zeros_like(leaf) if jnp.issubdtype(leaf.dtype, jnp.floating) else np.zeros(leaf.shape, jax.dtypes.float0)


def _chunked(a, b):
    """x and its certificate, the batch in chunks, each ending as soon as its own problems are solved."""
    batch, size = b.shape
    layout = 'small' if size <= SMALL else 'middling' if size <= MIDDLING else 'large'
    chunk = min(CHUNK[layout], batch)
    count = -(-batch // chunk)
    fill = lambda x: jnp.concatenate([x, jnp.broadcast_to(x[-1:], (count * chunk - batch, *x.shape[1:]))])
    parts = jax.tree.map(lambda x: jnp.moveaxis(fill(x).reshape(count, chunk, *x.shape[1:]), 1, -1), (a, b))
    x, certificate = jax.lax.map(lambda part: _solve(layout, *part), parts) if count > 1 else jax.tree.map(
        lambda y: y[None], _solve(layout, *(part[0] for part in parts)))
    flat = lambda y: jnp.moveaxis(y, -1, 1).reshape(count * chunk, *y.shape[1:-1])[:batch]
    return jax.tree.map(flat, (x, certificate))


def _solve(layout, a, b):
    """x [K, C] and the certificate of one chunk, a [K, K, C] and b [K, C]."""
    size = len(b)
    eps = jnp.finfo(b.dtype).eps
    lifted = a + (4 * size * eps) * jnp.eye(size, dtype=a.dtype)[..., None]
    solve = {'small': unrolled, 'middling': columns, 'large': gathered}[layout](lifted)
    multiply, everything = functools.partial(_multiply, layout, a), jnp.ones(b.shape, bool)
    free = _guess(multiply, a, b) if layout == 'large' else everything
    x, free, unfinished, definite, rounds = pivot(multiply, solve, b, free, limit=50 + 10 * size)
    if layout == 'large':  # the others began with everything free
        definite &= solve(everything, b)[1]
    for _ in range(REFINEMENTS):
        x = jnp.maximum(x + solve(free, b - multiply(x))[0], 0)
    slack = multiply(x) - b
    size_of_terms = jnp.max(multiply(x, absolute=True) + jnp.abs(b), 0)
    residual = jnp.max(jnp.abs(jnp.minimum(x, slack)), 0) / jnp.where(size_of_terms > 0, size_of_terms, 1)
    return x, (residual, unfinished, definite, rounds)


def _multiply(layout, a, x, absolute=False):
    a = jnp.abs(a) if absolute else a
    if layout == 'large':
        return (a[..., 0] @ x)
    return jnp.sum(a * x[None], axis=1)


def _guess(multiply, a, b):
    """The positive part of a few accelerated projected gradient steps: which sources are worth anything, nearly."""
    rate = 1 / jnp.max(jnp.sum(jnp.abs(a), 1), 0, keepdims=True)
    x = momentum = jnp.zeros_like(b)
    for k in range(GUESSES):
        new = jnp.maximum(momentum - rate * (multiply(momentum) - b), 0)
        x, momentum = new, new + k / (k + 3) * (new - x)
    return x > 0
