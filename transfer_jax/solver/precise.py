"""b - A x to far more than the precision of its dtype, so that refined float32 solutions are as good as it can hold (Dekker 1971).

Compilers may turn a product and a sum into one rounding. Nothing here minds: only products that are exact are relied on.
"""
import jax
import jax.numpy as jnp


def two_sum(a, b):
    """s and e with s = fl(a + b), s + e = a + b exactly."""
    s = a + b
    other = s - a
    return s, (a - (s - other)) + (b - other)


def product(a, b):
    """p and e: p exact, of the upper halves of a and b; p + e = a b but for 2^-35 of it in float32, 2^-79 in float64."""
    a1, b1 = upper(a), upper(b)
    return a1 * b1, a1 * (b - b1) + (a - a1) * b


def upper(a):
    """a without the lower half of its digits; what is left of them, a - upper(a), is exact too."""
    half = (jnp.finfo(a.dtype).nmant + 2) // 2
    bits = jax.lax.bitcast_convert_type(a, jnp.uint32 if a.dtype == jnp.float32 else jnp.uint64)
    return jax.lax.bitcast_convert_type((bits >> half) << half, a.dtype)


def remainder(layout, a, low, b, x):
    """(b - A x, |A||x| + |b|), vectors, for symmetric A = a + diag(low): correct to rounding of its result."""
    def add(carry, row_and_value):
        high, rest, terms = carry
        p, error = product(*row_and_value)
        high, lost = two_sum(high, -p)
        return (high, rest + (lost - error), terms + jnp.abs(p)), None

    rows, values = jnp.moveaxis(a, layout.axis, 0), jnp.moveaxis(x, layout.axis, 0)
    start = (b, -low * x, jnp.abs(b))
    (high, rest, terms), _ = jax.lax.scan(add, start, (rows, jnp.expand_dims(values, layout.axis + 1)), unroll=4)
    return high + rest, terms
