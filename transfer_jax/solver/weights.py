"""u* = argmin_{u >= 0} u'(D + G) u / 2 - 1'u of a batch of problems: scaled, solved by pivoting, certified, differentiable."""
import functools

import jax
import jax.numpy as jnp
import numpy as np

from transfer_jax.solver import precise
from transfer_jax.solver.certificate import Scaled
from transfer_jax.solver.factor import cholesky_solve, compact_cholesky, masked_cholesky, scalar_ldl
from transfer_jax.solver.layout import FIRST, LAST, Layout, in_chunks
from transfer_jax.solver.pivoting import Remainder, can_lift, run_rounds
from transfer_jax.solver.solution import Status, solve_status

SMALL, LARGE = 8, 64  # up to SMALL sources the axis of problems is the last one; from LARGE on a CPU solves problem by problem
# problems at once where their axis is the last, and K^2 times that number where it is the first: a chunk fits into a core's cache, or fills
# an accelerator
CHUNKS = {'cpu': (512, LARGE**2)}
ELSEWHERE = 2**17, 2**24
TOLERANCE = {'float64': 1e-10, 'float32': 1e-6}  # of the residual
REFINEMENTS = {'float32': 3, 'float64': 0}  # a Cholesky solution is backward stable: float64 is exact enough as it comes


def rescale(layout: Layout, sizes: jax.Array, gram: jax.Array) -> Scaled:
    """A = S (D + G) S, the part of A's diagonal that rounding lost, b = S 1, and S D S for sizes and gram in a layout; u = S x = b x.

    S holds powers of two that bring the diagonal near 1: only the diagonal is rounded, and float32 is safe at any scale. A source without
    samples has S = 0 and the row of the identity.
    """
    has_samples = sizes > 0
    size = jnp.where(has_samples, sizes, 1)
    variance, bias = 1 / size, layout.diagonal(gram)
    exponent = jnp.round(-0.5 * jnp.log2(variance + bias)).astype(jnp.int32)
    scale = jnp.where(has_samples, jnp.ldexp(jnp.ones_like(sizes), exponent), 0)
    high, rest = precise.product(variance, size)
    square = scale * scale
    diagonal, low = precise.two_sum(variance * square, bias * square)
    low = low + ((1 - high) - rest) / size * square
    a = layout.rows(scale) * gram * layout.columns(scale)
    a = jnp.where(layout.eye(sizes.shape[layout.axis]), layout.rows(jnp.where(has_samples, diagonal, 1)), a)
    return Scaled(a=a, low=jnp.where(has_samples, low, 0), b=scale, noise=jnp.where(has_samples, variance * square, 1))


@jax.custom_jvp
def optimal_sizes(sizes: jax.Array, gram: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array, jax.Array]]:
    """(u [B, K], (residual [B], status [B], rounds [B])) for sizes N [B, K] and gram [B, K, K] in one float dtype.

    u* is unique for N > 0; u_k = 0 where N_k = 0. Differentiable: on the support S, du_S = M_SS^-1 (D^2 u dN - dG u)_S with M = D + G.
    """
    size = sizes.shape[1]
    last, first = CHUNKS.get(jax.default_backend(), ELSEWHERE)
    if size <= SMALL:
        return _small(min(last, len(sizes)), sizes, gram)
    solve = lambda *part: _solve(FIRST, 50 + 10 * size, jnp.ones_like(part[0], bool), *rescale(FIRST, *part))
    return in_chunks(FIRST, solve, max(1, first // size**2), sizes, gram)


def _small(chunk, sizes, gram):
    """optimal_sizes with problems last. All are scaled at once and take one round; the unsolved ones are gathered into chunks and go on."""
    batch, size = sizes.shape
    problems, limit = rescale(LAST, sizes.T, jnp.moveaxis(gram, 0, -1)), 50 + 10 * size
    guess = jnp.ones((size, batch), bool)
    if batch == chunk:
        u, certificate = _solve(LAST, limit, guess, *problems)
        return u.T, certificate
    results = in_chunks(LAST, functools.partial(_solve, LAST, 1), chunk, guess, *problems)
    unsolved = results[1][1] == Status.UNFINISHED.value
    order = jnp.nonzero(unsolved, size=batch, fill_value=batch)[0]

    def more(k, results):
        index = jax.lax.dynamic_slice_in_dim(order, k * chunk, chunk)
        pick = lambda x: x.at[..., index].get(mode='clip')
        part = _solve(LAST, limit, pick(results[0]) > 0, *map(pick, problems))
        return jax.tree.map(lambda x, y: x.at[..., index].set(y, mode='drop'), results, part)

    u, certificate = jax.lax.fori_loop(0, -(-jnp.sum(unsolved) // chunk), more, results)
    return u.T, certificate


def _solve(layout, limit, guess, *problem):
    """(u, (residual, status, rounds)) of one chunk in its layout, after at most limit rounds."""
    problem = Scaled(*problem)
    b = problem.b
    factor = scalar_ldl if layout is LAST else compact_cholesky if b.shape[1] >= LARGE and len(b) == 1 else masked_cholesky
    refinements = REFINEMENTS[b.dtype.name]
    remainder_of = precise.remainder_of if refinements else plain_remainder_of
    state = run_rounds(layout, problem, factor, remainder_of, guess, limit, refinements)
    lifts, gap = can_lift(state), jnp.where(state.lifted > 0, jnp.inf, state.gap)
    unfinished = layout.over(jnp.logical_or, state.wrong) | lifts
    status = solve_status(state.residual, TOLERANCE, unfinished, state.definite | lifts, gap)
    return b * jnp.maximum(state.x, 0), (state.residual, status, state.rounds)


def plain_remainder_of(layout: Layout, a: jax.Array, low: jax.Array) -> Remainder:
    """(b, x) -> (b - A x, |A||x| + |b|) in plain arithmetic, A = a + diag(low)."""
    if layout is LAST:
        return lambda b, x: (b - layout.over(jnp.add, a * x[:, None]) - low * x, layout.over(jnp.add, jnp.abs(a * x[:, None])) + jnp.abs(b))
    size_of_a, product = jnp.abs(a), functools.partial(jnp.einsum, 'ckl,cl->ck')
    return lambda b, x: (b - product(a, x) - low * x, product(size_of_a, jnp.abs(x)) + jnp.abs(b))


@optimal_sizes.defjvp
def _derivative(primals, tangents):
    sizes, gram = primals
    u, certificate = optimal_sizes(sizes, gram)
    a, _, scale, _ = rescale(FIRST, sizes, gram)
    free = u > 0
    product = functools.partial(jnp.einsum, 'bkl,bl->bk')
    # the first sample of a source without samples
    first = jnp.where(sizes == 0, jnp.maximum(0, 1 - product(gram, u)) * tangents[0], 0)
    # D^2 u = u / N^2 would be 0 / 0 outside the support
    right = u / jnp.where(free, sizes, 1) ** 2 * tangents[0] - product(tangents[1], u) - product(gram, first)
    right = jnp.where(free, right, 0)
    both = free[:, :, None] & free[:, None, :]
    lower = jax.lax.linalg.cholesky(jnp.where(both, a, jnp.eye(a.shape[-1], dtype=a.dtype)[None]), symmetrize_input=False)
    du = scale * cholesky_solve(lower, jnp.where(free, scale * right, 0)) + first
    return (u, certificate), (du, jax.tree.map(_no_tangent, certificate))


def _no_tangent(leaf):
    return jnp.zeros_like(leaf) if jnp.issubdtype(leaf.dtype, jnp.floating) else np.zeros(leaf.shape, jax.dtypes.float0)
