"""Where the sources' axes are: XLA is fast along the last axis, of problems where K is small, of sources where it is not."""
import dataclasses
import functools

import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class Layout:
    """axis 0: vectors [K, C] and matrices [K, K, C] of C problems; axis 1: vectors [C, K] and matrices [C, K, K]."""
    axis: int

    def rows(self, x):
        """A vector as a matrix of equal columns, to broadcast."""
        return jnp.expand_dims(x, self.axis + 1)

    def columns(self, x):
        """A vector as a matrix of equal rows, to broadcast."""
        return jnp.expand_dims(x, self.axis)

    def diagonal(self, matrix):
        """The matrix' diagonal, a vector."""
        return jnp.einsum('ckk->ck', matrix) if self.axis else jnp.stack([row[k] for k, row in enumerate(matrix)])

    def eye(self, size):
        """The identity, bool, to broadcast."""
        return jnp.eye(size, dtype=bool)[None] if self.axis else jnp.eye(size, dtype=bool)[..., None]

    def each(self, value):
        """One value a problem [C] as a vector of equal entries, to broadcast; also a vector as a matrix of equal rows."""
        return jnp.expand_dims(value, self.axis)

    def over(self, operation, x):
        """The sources' axis of a vector, or a matrix' rows, folded by a ufunc of jnp; row by row where problems are last."""
        return operation.reduce(x, axis=1) if self.axis else functools.reduce(operation, list(x))


LAST, FIRST = Layout(0), Layout(1)  # of the problems


def in_chunks(layout, solve, chunk, *problems):
    """What solve returns of all problems, from chunks of them, one after the other; the last may take some of those before it again."""
    axis, batch = layout.axis - 1, problems[0].shape[layout.axis - 1]  # the problems' own axis: -1 or 0
    if batch <= chunk:
        return solve(*problems)
    take = lambda k, x: jax.lax.dynamic_slice_in_dim(x, k * chunk, chunk, axis)
    put = lambda k, whole, part: jax.lax.dynamic_update_slice_in_dim(whole, part, k * chunk, axis)
    wide = lambda x: (*x.shape[:-1], batch) if axis else (batch, *x.shape[1:])
    empty = jax.tree.map(lambda x: jnp.zeros(wide(x), x.dtype), jax.eval_shape(solve, *(take(0, x) for x in problems)))
    one = lambda k, results: jax.tree.map(functools.partial(put, k), results, solve(*(take(k, x) for x in problems)))
    return jax.lax.fori_loop(0, -(-batch // chunk), one, empty)
