"""Block principal pivoting for x >= 0, A x - b >= 0, x'(A x - b) = 0, many problems at once."""
from typing import NamedTuple

import jax
import jax.numpy as jnp

PATIENCE = 3


class State(NamedTuple):
    """Where every problem stands: its free set and who is wrong in it, bool vectors; x, a vector; the rest [C]."""
    free: jax.Array
    wrong: jax.Array
    x: jax.Array
    residual: jax.Array
    definite: jax.Array
    fewest: jax.Array
    patience: jax.Array
    rounds: jax.Array


def begin(layout, b, free):
    """The state before the first round, with free as a guess: nobody is known to be wrong."""
    size, zeros = b.shape[layout.axis], jnp.zeros(b.shape[1 - layout.axis], jnp.int32)
    return State(free=free, wrong=jnp.zeros(b.shape, bool), x=jnp.zeros_like(b), residual=zeros.astype(b.dtype), definite=zeros == 0,
                 fewest=zeros + size + 1, patience=zeros + PATIENCE, rounds=zeros)


def turn(layout, state, remainder, solve, b, refinements):
    """One round: the wrong change sides, x is solved for on the free set and judged.

    All of the wrong change while their number shrinks, or for PATIENCE rounds if it does not, else only the one of largest index, which
    ends (Murty 1974; Portugal, Judice & Vicente 1994). remainder: x -> (b - A x, |A||x| + |b|). solve: of factor.py.
    """
    over, each = layout.over, layout.each
    numbers = jax.lax.broadcasted_iota(jnp.int32, b.shape, layout.axis)
    count = over(jnp.add, state.wrong.astype(jnp.int32)).astype(jnp.int32)
    patience = jnp.where(count < state.fewest, PATIENCE, state.patience - 1)
    last = numbers == each(over(jnp.maximum, jnp.where(state.wrong, numbers, -1)))
    free = state.free ^ (state.wrong & (each(patience >= 0) | last))

    def refined(substitute):
        return jax.lax.fori_loop(0, refinements, lambda _, x: x + substitute(remainder(x)[0]), substitute(b))

    x, definite = solve(free, refined)
    rest, terms = remainder(x)
    eps = 4 * b.shape[layout.axis] * jnp.finfo(b.dtype).eps
    wrong = jnp.where(free, x < -eps * each(over(jnp.maximum, jnp.abs(x))), rest > eps * terms)
    largest = over(jnp.maximum, terms)
    residual = over(jnp.maximum, jnp.abs(jnp.minimum(x, -rest))) / jnp.where(largest > 0, largest, 1)
    first = state.rounds == 0  # nobody was known to be wrong
    return State(free=free, wrong=wrong, x=x, residual=residual, definite=state.definite & definite,
                 fewest=jnp.where(first, state.fewest, jnp.minimum(count, state.fewest)), patience=patience,
                 rounds=state.rounds + (first | (count > 0)).astype(jnp.int32))


def pivot(layout, one_turn, state, limit):
    """Rounds (one_turn: State -> State) until nobody is wrong in any problem, at most limit."""
    if limit == 1:
        return one_turn(state)

    def going(carry):
        number, state = carry
        return (number == 0) | ((number < limit) & jnp.any(state.wrong & layout.each(state.definite)))

    return jax.lax.while_loop(going, lambda carry: (carry[0] + 1, one_turn(carry[1])), (jnp.zeros((), jnp.int32), state))[1]
