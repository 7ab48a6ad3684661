"""Where the sources' axes are: XLA is fast along the last axis, of problems where K is small, of sources where it is not."""
import dataclasses
import functools

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
