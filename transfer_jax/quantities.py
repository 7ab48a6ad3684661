"""Optimal quantities of the sources (OTQMS, arXiv:2502.04242): how many samples of each to add to the target's, unweighted."""
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike, Float, Num

from transfer_jax.inputs import as_batch, rounding, semidefinite, without_blur
from transfer_jax.objective import predicted_error
from transfer_jax.solver.quantities import conditions, optimal_quantities, shortfall
from transfer_jax.solver.solution import Solution, Status, make_solution, solve_status

TOLERANCE = {'float64': 1e-10, 'float32': 1e-5}  # of the residual


@functools.partial(jax.jit, static_argnames='integer')
@jax.default_matmul_precision('highest')
def transfer_quantities(target_size: Num[ArrayLike, '*#batch'], source_sizes: Num[ArrayLike, '*#batch k'] | Sequence[float],
                        gram: Float[ArrayLike, '*#batch k k'], integer: bool = False) -> Solution:
    """The quantities 0 <= n <= N that minimise F(n) = 1/S + n'G n / S^2, S = N0 + sum n, jointly: a Solution with weights 1.

    Where G is singular (identical or opposed sources) n* is not unique, though sum n* and G n* are: the centre of the optimal face is
    returned. integer: n is rounded to whole samples, each within one of the optimum, with the optimum's sum where N is whole; residual
    and error are then those of the whole numbers, whose error may with very few samples be above that of no samples at all. Arguments,
    dtypes, batching, errors and INACCURATE as in source_weights. Differentiable as source_weights is: where n* is not unique, along the
    shortest change of n / N; the derivative of whole samples is 0.
    """
    eps = rounding(gram)
    target, sizes, gram, status, shape, inputs = as_batch(target_size, source_sizes, gram)
    empty = target + jnp.sum(sizes, 1) == 0
    n, residual, unfinished, rounds = optimal_quantities(jnp.where(empty, 1, target), sizes, gram)
    definite = semidefinite(jax.lax.stop_gradient(gram), eps) & jnp.isfinite(n).all(1)
    fixed = jax.lax.stop_gradient
    lost = shortfall(*map(fixed, (jnp.where(empty, 1, target), sizes, gram, n)))
    status = jnp.where(status == Status.SOLVED.value, solve_status(residual, TOLERANCE, unfinished, definite, lost), status)
    error = predicted_error(target, n, gram)
    status = without_blur(status, *map(fixed, (n, gram, error * (target + jnp.sum(n, 1)) ** 2)), eps)
    if integer:
        n = round_quantities(n, sizes)
        residual = conditions(*map(fixed, (jnp.where(empty, 1, target), sizes, gram, n)))
    return make_solution(shape, status, inputs, weights=jnp.ones_like(n), quantities=n, effective_sizes=n,
                         error=predicted_error(target, n, gram), residual=residual, iterations=rounds)


def round_quantities(n: jax.Array, sizes: jax.Array) -> jax.Array:
    """Whole numbers [B, K] within one of n [B, K], at most floor(N), whose sum is near that of n: the largest remainders are rounded up."""
    whole = jnp.floor(n)
    rest = jnp.where(whole + 1 <= sizes, n - whole, -1.0)
    missing = jnp.round(jnp.sum(n - whole, 1))
    rank = jnp.argsort(jnp.argsort(-rest, axis=1), axis=1).astype(n.dtype)
    return jnp.where((rank < missing[:, None]) & (rest > 0), whole + 1, whole)
