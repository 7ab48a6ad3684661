"""Layout: which axis holds the sources. XLA is fast along the last axis: of problems where K is small, of sources where K is large."""
import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class Layout:
    """axis 0: vectors [K, C] and matrices [K, K, C] of C problems; axis 1: vectors [C, K] and matrices [C, K, K]."""
    axis: int

    def rows(self, x: jax.Array) -> jax.Array:
        """A vector as a matrix of equal columns, to broadcast."""
        return jnp.expand_dims(x, self.axis + 1)

    def columns(self, x: jax.Array) -> jax.Array:
        """A vector as a matrix of equal rows, to broadcast."""
        return jnp.expand_dims(x, self.axis)

    def diagonal(self, matrix: jax.Array) -> jax.Array:
        """The matrix' diagonal, a vector."""
        return jnp.einsum('ckk->ck', matrix) if self.axis else jnp.stack([row[k] for k, row in enumerate(matrix)])

    def eye(self, size: int) -> jax.Array:
        """The identity, bool, to broadcast."""
        return jnp.eye(size, dtype=bool)[None] if self.axis else jnp.eye(size, dtype=bool)[..., None]

    def each(self, value: jax.Array) -> jax.Array:
        """One value a problem [C] as a vector of equal entries, to broadcast."""
        return jnp.expand_dims(value, self.axis)

    def over(self, operation: Any, x: jax.Array) -> jax.Array:
        """A vector's entries, or a matrix' rows, reduced over the sources by a ufunc of jnp; entry by entry where problems are last."""
        return operation.reduce(x, axis=1) if self.axis else functools.reduce(operation, list(x))


LAST, FIRST = Layout(0), Layout(1)  # the place of the problems' axis


def in_chunks(layout: Layout, solve: Callable[..., Any], chunk: int, *problems: jax.Array) -> Any:
    """solve(*problems), chunk after chunk. The last chunk has full length too: it may solve some problems of the one before it again."""
    axis, batch = layout.axis - 1, problems[0].shape[layout.axis - 1]  # the problems' own axis: -1 or 0
    if batch <= chunk:
        return solve(*problems)
    take = lambda k, x: jax.lax.dynamic_slice_in_dim(x, k * chunk, chunk, axis)
    put = lambda k, whole, part: jax.lax.dynamic_update_slice_in_dim(whole, part, k * chunk, axis)
    wide = lambda x: (*x.shape[:-1], batch) if axis else (batch, *x.shape[1:])
    empty = jax.tree.map(lambda x: jnp.zeros(wide(x), x.dtype), jax.eval_shape(solve, *(take(0, x) for x in problems)))
    one = lambda k, results: jax.tree.map(functools.partial(put, k), results, solve(*(take(k, x) for x in problems)))
    return jax.lax.fori_loop(0, -(-batch // chunk), one, empty)
