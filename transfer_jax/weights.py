"""Optimal weights of the sources (UOWQ, arXiv:2601.10779): every sample of every source, each source at its own weight."""
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Float, Num

from transfer_jax.inputs import as_batch, rounding, without_blur
from transfer_jax.solver.single import solve_one
from transfer_jax.solver.solution import Solution, Status, make_solution
from transfer_jax.solver.weights import optimal_sizes


def source_weights(target_size: Num[ArrayLike, '*#batch'], source_sizes: Num[ArrayLike, '*#batch k'] | Sequence[float],
                   gram: Float[ArrayLike, '*#batch k k']) -> Solution:
    """The weights w* >= 0 that minimise F (transfer_jax.objective.predicted_error) over all weights and quantities: a Solution.

    With M = diag(1/N) + G, u* = argmin_{u >= 0} u' M u / 2 - 1'u, w_k = u_k / N_k and F* = 1 / (N0 + sum u*): all samples are used, the
    weights do not depend on N0, and sum u* is how many target samples the sources are worth. A weight is above 1 where biases cancel. A
    source with N_k = 0 gets the weight that a first sample of it would. Where biases cancel so far that the rounding of gram in its own
    dtype decides the result, the status is INACCURATE.

    target_size N0 [...], source_sizes N [..., K], gram G [..., K, K]; leading axes broadcast; computed in the widest of their float
    dtypes. Works under jit, vmap and grad (implicit differentiation). A problem that cannot be solved has NaN, in
    derivatives too, and a status. One problem of up to five sources in NumPy arrays is solved without JAX, in float64, and its results are
    NumPy arrays. Raises ValueError where the shapes do not go together, and for complex values.
    """
    alone = solve_one(target_size, source_sizes, gram) if type(gram) is np.ndarray and gram.ndim == 2 else None
    return _batched(target_size, source_sizes, gram) if alone is None else alone


@jax.jit
@jax.default_matmul_precision('highest')
def _batched(target_size: ArrayLike, source_sizes: ArrayLike | Sequence[float], gram: ArrayLike) -> Solution:
    """source_weights in JAX."""
    precision = rounding(gram)
    target, sizes, gram, status, shape, inputs = as_batch(target_size, source_sizes, gram)
    u, (residual, solver_status, rounds) = optimal_sizes(sizes, gram)
    status = jnp.where(status == Status.SOLVED.value, solver_status, status)
    status = without_blur(status, jax.lax.stop_gradient(u), jax.lax.stop_gradient(gram), jax.lax.stop_gradient(jnp.sum(u, 1)), precision)
    first = jax.lax.cond(jnp.any(sizes == 0), lambda u: jnp.maximum(0, 1 - jnp.einsum('bkl,bl->bk', gram, u)), jnp.zeros_like, u)
    weights = jnp.where(sizes > 0, u / jnp.where(sizes > 0, sizes, 1), first)
    return make_solution(shape, status, inputs, weights=weights, quantities=sizes, effective_sizes=u, error=1 / (target + jnp.sum(u, 1)),
                         residual=residual, iterations=rounds)
