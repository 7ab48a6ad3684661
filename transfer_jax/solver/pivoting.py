"""Block principal pivoting for x >= 0, A x - b >= 0, x'(A x - b) = 0, many problems at once."""
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from transfer_jax.solver.factor import Solve
from transfer_jax.solver.layout import Layout

PATIENCE = 3  # rounds in which the number of wrong variables may fail to shrink
CLOSE, MORE = 1e-5, 5  # a gap above CLOSE is refined further, up to MORE times as often
Remainder = Callable[[jax.Array], tuple[jax.Array, jax.Array]]


class State(NamedTuple):
    """The state of every problem. Vectors of the layout: free, wrong (bool; which variables are free, which are on the wrong side), x.

    [C]: residual; gap: |x'(b - A x)| / b'x, the share of the optimum's value that x lacks; definite: whether A was positive definite on
    every free set so far; fewest: the smallest number of wrong variables so far; patience: rounds left before variables change sides one
    by one; rounds.
    """
    free: jax.Array
    wrong: jax.Array
    x: jax.Array
    residual: jax.Array
    gap: jax.Array
    definite: jax.Array
    fewest: jax.Array
    patience: jax.Array
    rounds: jax.Array


def first_state(layout: Layout, b: jax.Array, free: jax.Array) -> State:
    """The state before the first round, with free as a guess and no variable wrong."""
    size, zeros = b.shape[layout.axis], jnp.zeros(b.shape[1 - layout.axis], jnp.int32)
    return State(free=free, wrong=jnp.zeros(b.shape, bool), x=jnp.zeros_like(b), residual=zeros.astype(b.dtype),
                 gap=zeros.astype(b.dtype), definite=zeros == 0,
                 fewest=zeros + size + 1, patience=zeros + PATIENCE, rounds=zeros)


def one_round(layout: Layout, state: State, remainder: Remainder, solve: Solve, b: jax.Array, refinements: int) -> State:
    """One round: wrong variables change sides, x is solved for on the free set, and its signs say which variables are wrong now.

    All wrong variables change sides while their number shrinks, and for PATIENCE rounds in which it does not; after that only the one of
    largest index, a rule that terminates (Murty 1974; Portugal, Judice & Vicente 1994). remainder: x -> (b - A x, |A||x| + |b|). solve: a
    result of transfer_jax.solver.factor. refinements: steps of iterative refinement, and as often as MORE again of the problems whose gap
    is above CLOSE: where biases cancel, each step takes away a share of the error alone.
    """
    over, each = layout.over, layout.each
    numbers = jax.lax.broadcasted_iota(jnp.int32, b.shape, layout.axis)
    count = over(jnp.add, state.wrong.astype(jnp.int32)).astype(jnp.int32)
    patience = jnp.where(count < state.fewest, PATIENCE, state.patience - 1)
    last = numbers == each(over(jnp.maximum, jnp.where(state.wrong, numbers, -1)))
    free = state.free ^ (state.wrong & (each(patience >= 0) | last))

    def refine(substitute):
        x = jax.lax.fori_loop(0, refinements, lambda _, x: x + substitute(remainder(x)[0]), substitute(b))
        first = (jnp.zeros((), jnp.int32), x, *remainder(x))
        if not refinements:
            return first
        is_open = lambda x, rest: each(gap_of(layout, x, rest, b) > CLOSE)

        def again(carry):
            number, x, rest, _ = carry
            x = jnp.where(is_open(x, rest), x + substitute(rest), x)
            return (number + 1, x, *remainder(x))

        return jax.lax.while_loop(lambda carry: (carry[0] < MORE * refinements) & jnp.any(is_open(carry[1], carry[2])), again, first)

    (_, x, rest, terms), definite = solve(free, refine)
    eps = 4 * b.shape[layout.axis] * jnp.finfo(b.dtype).eps
    wrong = jnp.where(free, x < -eps * each(over(jnp.maximum, jnp.abs(x))), rest > eps * terms)
    largest = over(jnp.maximum, terms)
    residual = over(jnp.maximum, jnp.abs(jnp.minimum(x, -rest))) / jnp.where(largest > 0, largest, 1)
    first = state.rounds == 0  # before it no variable was wrong, so its count says nothing
    return State(free=free, wrong=wrong, x=x, residual=residual, gap=gap_of(layout, x, rest, b), definite=state.definite & definite,
                 fewest=jnp.where(first, state.fewest, jnp.minimum(count, state.fewest)), patience=patience,
                 rounds=state.rounds + (first | (count > 0)).astype(jnp.int32))


def gap_of(layout: Layout, x: jax.Array, rest: jax.Array, b: jax.Array) -> jax.Array:
    """|x'(b - A x)| / |b'x| of every problem, [C]; rest: b - A x."""
    value = jnp.abs(layout.over(jnp.add, b * x))
    return jnp.abs(layout.over(jnp.add, x * rest)) / jnp.where(value > 0, value, 1)


def run_rounds(layout: Layout, advance: Callable[[State], State], state: State, limit: int) -> State:
    """The state after rounds (advance) until no problem has a wrong variable, at most limit of them."""
    if limit == 1:
        return advance(state)

    def more(carry):
        number, state = carry
        return (number == 0) | ((number < limit) & jnp.any(state.wrong & layout.each(state.definite)))

    return jax.lax.while_loop(more, lambda carry: (carry[0] + 1, advance(carry[1])), (jnp.zeros((), jnp.int32), state))[1]
