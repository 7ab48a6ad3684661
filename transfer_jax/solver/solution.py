"""What a solver returns: the optimum with its certificate, and check, which turns statuses into one error."""
import enum
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float, Int8, Int32

from transfer_jax.runtime.counts import counted, plural
from transfer_jax.runtime.errors import UserError


class Status(enum.IntEnum):
    """The outcome of one problem of a batch. From UNFINISHED on its results are NaN; the other problems' results do not depend on it."""
    SOLVED = 0
    INACCURATE = 1  # biases cancel beyond the precision of the dtype, or the conditions hold less exactly than it allows: see the residual
    UNFINISHED = 2
    NOT_FINITE = 3
    NEGATIVE_SIZE = 4
    NOT_PSD = 5


LOST = 1e-4  # of the sources' worth, which F goes by
BLURRED = 1e-3  # of what a result is worth, by rounding of gram
REASONS = {Status.INACCURATE: 'the biases of sources cancel beyond the precision of the dtype',
           Status.UNFINISHED: 'the iterations ran out', Status.NOT_FINITE: 'a size or an entry of gram is NaN or infinite',
           Status.NEGATIVE_SIZE: 'a size is negative', Status.NOT_PSD: 'gram is not symmetric positive semi-definite'}
DOUBLE = 'give float64 arrays, with JAX_ENABLE_X64=1 in the environment or after jax.config.update("jax_enable_x64", True)'
ADVICE = {Status.INACCURATE: f'{DOUBLE}; where they are float64, leave out one of the sources that cancel each other, or join these to one',
          Status.UNFINISHED: f'{DOUBLE}, or sizes and entries of gram that differ less',
          Status.NOT_FINITE: f'in float32 every number above 3.4e38 is infinite: where yours are finite, {DOUBLE}',
          Status.NEGATIVE_SIZE: 'give sizes of 0 or more', Status.NOT_PSD: 'transfer_jax.debias.project_psd(gram) is the nearest that is'}


@struct.dataclass
class Solution:
    """The optimum of a batch [...] of problems with K sources.

    weights w [..., K]; quantities n [..., K]; effective_sizes u = w n [..., K], whose sum is the number of target samples that the sources
    are worth where weights are optimal; error F [...]; residual [...], the largest violation of the optimality conditions, relative to
    the size of their terms; status int8 [...] of Status; iterations int32 [...].
    """
    weights: Float[Array, '*batch k']
    quantities: Float[Array, '*batch k']
    effective_sizes: Float[Array, '*batch k']
    error: Float[Array, '*batch']
    residual: Float[Array, '*batch']
    status: Int8[Array, '*batch']
    iterations: Int32[Array, '*batch']


def solve_status(residual: Array, tolerance: Mapping[str, float], unfinished: Array, definite: Array, lost: Array | float = 0.0) -> Array:
    """The status int8 [B] of problems after solving; residual, unfinished, definite: [B]; tolerance: of the residual, by dtype.

    lost: [B], the share of the optimum's value that the result lacks.
    """
    by_residual = jnp.where((residual <= tolerance[residual.dtype.name]) & (lost <= LOST), Status.SOLVED, Status.INACCURATE)
    return jnp.where(definite, jnp.where(unfinished, Status.UNFINISHED, by_residual), Status.NOT_PSD).astype(jnp.int8)


def make_solution(shape: tuple[int, ...], status: Array, inputs: tuple[Array, ...], *, iterations: Array, **results: Array) -> Solution:
    """A Solution in the batch's own shape, from arrays with one batch axis: NaN where the status means that there is no result.

    inputs: the arrays [B, ...] that the problems came from; derivatives by those of a problem without a result are NaN too.
    """
    results = _only_results(status <= Status.INACCURATE.value, inputs, results)
    out = {name: x.reshape(*shape, *x.shape[1:]) for name, x in results.items()}
    return Solution(status=status.reshape(shape), iterations=iterations.reshape(shape), **out)


@jax.custom_jvp
def _only_results(has_result, inputs, results):
    return {name: jnp.where(_each(has_result, x), x, jnp.nan) for name, x in results.items()}


@_only_results.defjvp
def _derivative(primals, tangents):
    has_result, (_, inputs, changes) = primals[0], tangents
    change = sum(jnp.sum(x.reshape(len(x), -1), 1) for x in inputs)
    nothing = jnp.where(has_result, 0, jnp.nan).astype(change.dtype) * change
    return _only_results(*primals), {name: jnp.where(_each(has_result, x), x, _each(nothing, x)) for name, x in changes.items()}


def _each(value, x):
    """One value a problem [B], to broadcast with x [B, ...]."""
    return value.reshape(-1, *[1] * (x.ndim - 1))


def check(solution: Solution) -> Solution:
    """The solution itself; where not all are SOLVED a UserError, which names the elements of the batch by reason, and says what to do."""
    status = np.asarray(solution.status)
    if (status == Status.SOLVED).all():
        return solution
    parts, advice = [], []
    for kind, reason in REASONS.items():
        where = np.argwhere(status == kind).tolist()
        if where:
            indices = ', '.join(str(tuple(index)) if index else 'the problem' for index in where[:5])
            parts.append(f'{reason}: {indices}' + (f' and {len(where) - 5} more' if len(where) > 5 else ''))
            advice.append(ADVICE[kind])
    raise UserError(f'{np.count_nonzero(status)} of {counted(status.size, "problem")} '
                    f'{plural(np.count_nonzero(status), "is", "are")} not solved ({"; ".join(parts)}); {"; ".join(advice)}')
