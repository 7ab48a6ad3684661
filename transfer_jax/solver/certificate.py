"""What a point of min_{x >= 0} x'A x / 2 - b'x can be wrong by at most, from its remainder b - A x alone."""
from typing import NamedTuple

import jax
import jax.numpy as jnp

from transfer_jax.solver.layout import Layout

DIGITS = {'float32': 2.0**-33, 'float64': 2.0**-52}  # error of a remainder over its terms; float32's is computed to twice its digits


class Scaled(NamedTuple):
    """A problem in its layout: A's rounded diagonal is a's plus low; b; noise: the part of A's diagonal that is the samples' noise."""
    a: jax.Array
    low: jax.Array
    b: jax.Array
    noise: jax.Array


def value_error(layout: Layout, x: jax.Array, rest: jax.Array, b: jax.Array) -> jax.Array:
    """|x'(b - A x)| / |b'x| of every problem, [C]: how far b'x is from x'A x, and 1 / (N0 + sum u) from F(u)."""
    value = jnp.abs(layout.over(jnp.add, b * x))
    return jnp.abs(layout.over(jnp.add, x * rest)) / jnp.where(value > 0, value, 1)


def shortfall(layout: Layout, problem: Scaled, x: jax.Array, rest: jax.Array, terms: jax.Array,
              further: tuple[jax.Array, jax.Array, jax.Array] | None = None) -> jax.Array:
    """The larger of a bound on F(u) / F* - 1 and of |F(u) (N0 + sum u) - 1|, for any N0, [C]; what 1 / (N0 + sum u) says is F then too.

    q(y) = y'A y / 2 - b'y has A = E + a PSD matrix with the diagonal E of noise, so for every y >= 0, with r = b - A x,

        q(y) >= q(x) - r'(y - x) + (y - x)'E (y - x) / 2,

    whose least value over y >= 0 stands by itself for every source: nothing is assumed of the free set, nor of how x was found. F(u) / F*
    <= 1 + 2 (q(x) - q*) / b'x for every N0. further (p, r - A p, terms): a step from x, whose bound replaces that of x, since q(x) -
    q(x + p) = p'(2 r - A p) / 2 exactly: x is rounded, x + p need not be. Remainders count with what rounding may hide.
    """
    size, dtype = x.shape[layout.axis], x.dtype.name
    digits = DIGITS[dtype] * (max(1.0, size**0.5) if further is None else 1.0)
    value = jnp.abs(layout.over(jnp.add, problem.b * x))
    value = jnp.where(value > 0, value, 1)
    wrong = value_error(layout, x, rest, problem.b) + digits * layout.over(jnp.add, jnp.abs(x) * terms) / value
    if further is None:
        return jnp.maximum(wrong, 2 * layout.over(jnp.add, _below(problem.noise, x, rest, digits * terms)) / value)
    step, left, more = further
    gained = layout.over(jnp.add, step * (rest + left)) / 2
    below = layout.over(jnp.add, _below(problem.noise, x + step, left, digits * (terms + more)))
    return jnp.maximum(wrong, 2 * (jnp.maximum(gained, 0) + below) / value)


def _below(noise, x, rest, error):
    """max over r within error of rest of -min_{y >= 0} (-r (y - x) + noise (y - x)^2 / 2), source by source."""
    def at(r):
        root = jnp.sqrt(noise)
        return jnp.where(r >= -noise * x, (r / root) ** 2 / 2, -x * r - noise * x * x / 2)

    return jnp.maximum(at(rest + error), at(rest - error))
