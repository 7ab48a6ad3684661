"""b - A x with about twice the digits of its dtype (Dekker 1971): refined float32 solutions are then as precise as float32 can be.

A compiler may fuse a product and a sum into one rounding. The results stay right, since they rely on exact products only.
"""
from collections.abc import Callable

import jax
import jax.numpy as jnp

from transfer_jax.solver.layout import Layout


def two_sum(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(s, e): s is a + b rounded, and s + e = a + b exactly."""
    s = a + b
    other = s - a
    return s, (a - (s - other)) + (b - other)


def product(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(p, e): p is the exact product of the upper halves of a and b; p + e is a b to a relative 2^-35 in float32, 2^-79 in float64."""
    a1, b1 = upper(a), upper(b)
    return a1 * b1, a1 * (b - b1) + (a - a1) * b


def upper(a: jax.Array) -> jax.Array:
    """a without the lower half of its digits; the lower half, a - upper(a), is exact too."""
    half = (jnp.finfo(a.dtype).nmant + 2) // 2
    bits = jax.lax.bitcast_convert_type(a, jnp.uint32 if a.dtype == jnp.float32 else jnp.uint64)
    return jax.lax.bitcast_convert_type((bits >> half) << half, a.dtype)


def remainder_of(layout: Layout, a: jax.Array, low: jax.Array) -> Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
    """(b, x) -> (b - A x, |A||x| + |b|), vectors, for symmetric A = a + diag(low): correct to rounding of its result."""
    def add(carry, row_and_value):
        high, rest, terms = carry
        p, error = product(*row_and_value)
        high, lost = two_sum(high, -p)
        return (high, rest + (lost - error), terms + jnp.abs(p)), None

    def remainder(b, x):
        values = jnp.expand_dims(jnp.moveaxis(x, layout.axis, 0), layout.axis + 1)
        start = (b, -low * x, jnp.abs(b))
        (high, rest, terms), _ = jax.lax.scan(add, start, (jnp.moveaxis(a, layout.axis, 0), values), unroll=4)
        return high + rest, terms

    return remainder
