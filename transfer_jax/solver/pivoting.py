"""Block principal pivoting for x >= 0, A x - b >= 0, x'(A x - b) = 0, many problems at once."""
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from transfer_jax.solver.certificate import Scaled, shortfall, value_error
from transfer_jax.solver.factor import Solve, Substitute
from transfer_jax.solver.layout import Layout

PATIENCE = 3  # rounds in which the number of wrong variables may fail to shrink
CLOSE, MORE = 1e-5, 5  # a gap above CLOSE is refined further, up to MORE times as often
LIFTS = 0, 1, 8, 64  # times K eps: what is added to A's diagonal where rounding made A indefinite, one after the other
Remainder = Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]


class State(NamedTuple):
    """The state of every problem. Vectors of the layout: free, wrong (bool; which variables are free, which are on the wrong side), x.

    [C]: residual; gap: a bound on what is wrong with x's value (transfer_jax.solver.certificate); definite: whether A is positive definite
    on the free set; lifted: how often A's diagonal was raised to make it so (LIFTS);
    fewest: the smallest number of wrong variables so far; patience: rounds left before variables change sides one by one; rounds.
    """
    free: jax.Array
    wrong: jax.Array
    x: jax.Array
    residual: jax.Array
    gap: jax.Array
    definite: jax.Array
    lifted: jax.Array
    fewest: jax.Array
    patience: jax.Array
    rounds: jax.Array


def first_state(layout: Layout, b: jax.Array, free: jax.Array) -> State:
    """The state before the first round, with free as a guess and no variable wrong."""
    size, zeros = b.shape[layout.axis], jnp.zeros(b.shape[1 - layout.axis], jnp.int32)
    return State(free=free, wrong=jnp.zeros(b.shape, bool), x=jnp.zeros_like(b), residual=zeros.astype(b.dtype),
                 gap=zeros.astype(b.dtype), definite=zeros == 0, lifted=zeros,
                 fewest=zeros + size + 1, patience=zeros + PATIENCE, rounds=zeros)


def one_round(layout: Layout, state: State, problem: Scaled, solve: Solve, remainder: Remainder, refinements: int) -> State:
    """One round: wrong variables change sides, x is solved for on the free set, and its signs say which variables are wrong now.

    All wrong variables change sides while their number shrinks, and for PATIENCE rounds in which it does not; after that only the one of
    largest index, a rule that terminates (Murty 1974; Portugal, Judice & Vicente 1994). solve: a result of transfer_jax.solver.factor.
    remainder: (b, x) -> (b - A x, |A||x| + |b|). refinements: steps of iterative refinement, and as often as MORE again of the problems
    whose gap is above CLOSE: where biases cancel, each step takes away a share of the error alone.
    """
    over, each, b = layout.over, layout.each, problem.b
    free, count, patience = _exchange(layout, state)
    (x, rest, terms, gap), definite = solve(free, lambda substitute: _refine(layout, problem, remainder, refinements, substitute))
    eps = 4 * b.shape[layout.axis] * jnp.finfo(b.dtype).eps
    wrong = jnp.where(free, x < -eps * each(over(jnp.maximum, jnp.abs(x))), rest > eps * terms)
    largest = over(jnp.maximum, terms)
    residual = over(jnp.maximum, jnp.abs(jnp.minimum(x, -rest))) / jnp.where(largest > 0, largest, 1)
    first = state.rounds == 0
    return state._replace(free=free, wrong=wrong & each(definite), x=x, residual=residual, gap=gap, definite=definite,
                          fewest=jnp.where(count > 0, jnp.minimum(count, state.fewest), state.fewest), patience=patience,
                          rounds=state.rounds + (first | (count > 0)).astype(jnp.int32))


def _exchange(layout, state):
    """(the free set after wrong variables changed sides, how many did [C], the patience that is left [C])."""
    numbers = jax.lax.broadcasted_iota(jnp.int32, state.x.shape, layout.axis)
    count = layout.over(jnp.add, state.wrong.astype(jnp.int32)).astype(jnp.int32)
    patience = jnp.where(count < state.fewest, PATIENCE, state.patience - 1)
    last = numbers == layout.each(layout.over(jnp.maximum, jnp.where(state.wrong, numbers, -1)))
    return state.free ^ (state.wrong & (layout.each(patience >= 0) | last)), count, patience


def _refine(layout: Layout, problem: Scaled, remainder: Remainder, refinements: int, substitute: Substitute):
    """(x, b - A x, |A||x| + |b|, gap): A_FF x_F = b_F on the free set, refined."""
    b = problem.b
    x = jax.lax.fori_loop(0, refinements, lambda _, x: x + substitute(remainder(b, x)[0]), substitute(b))
    if not refinements:
        rest, terms = remainder(b, x)
        return x, rest, terms, shortfall(layout, problem, x, rest, terms)
    is_open = lambda x, rest: layout.each(value_error(layout, x, rest, b) > CLOSE)

    def again(carry):
        number, x, rest, _ = carry
        x = jnp.where(is_open(x, rest), x + substitute(rest), x)
        return (number + 1, x, *remainder(b, x))

    first = (jnp.zeros((), jnp.int32), x, *remainder(b, x))
    more = lambda carry: (carry[0] < MORE * refinements) & jnp.any(is_open(carry[1], carry[2]))
    _, x, rest, terms = jax.lax.while_loop(more, again, first)
    step = substitute(rest)
    return x, rest, terms, shortfall(layout, problem, x, rest, terms, (step, *remainder(rest, step)))


def run_rounds(layout: Layout, problem: Scaled, factor: Callable[[jax.Array], Solve], remainder_of: Callable[..., Remainder],
               guess: jax.Array, limit: int, refinements: int) -> State:
    """The state after rounds from a guess of the free set until no problem has a wrong variable, at most limit of them.

    factor: of transfer_jax.solver.factor. remainder_of: (layout, a, low) -> remainder of one_round. Where A is not positive definite, which
    rounding can cause, its problem goes on with more on the diagonal (LIFTS).
    """
    size, eps = problem.b.shape[layout.axis], jnp.finfo(problem.b.dtype).eps

    def attempt(state):
        lift = layout.each(jnp.asarray(LIFTS, problem.b.dtype)[state.lifted] * size * eps)
        solve = factor(jnp.where(layout.eye(size), problem.a + (8 + size) * eps + layout.rows(lift), problem.a))
        remainder = remainder_of(layout, problem.a, problem.low + lift)
        advance = lambda state: one_round(layout, state, problem, solve, remainder, refinements)
        if limit == 1:
            return advance(state)
        more = lambda carry: (carry[0] == 0) | ((carry[0] < limit) & jnp.any(carry[1].wrong))
        return jax.lax.while_loop(more, lambda carry: (carry[0] + 1, advance(carry[1])), (jnp.zeros((), jnp.int32), state))[1]

    state = first_state(layout, problem.b, guess)
    if limit == 1:
        return attempt(state)
    raised = lambda state: state._replace(lifted=state.lifted + can_lift(state).astype(jnp.int32))
    return jax.lax.while_loop(lambda carry: (carry[0] == 0) | jnp.any(can_lift(carry[1])),
                              lambda carry: (carry[0] + 1, attempt(raised(carry[1]))), (jnp.zeros((), jnp.int32), state))[1]


def can_lift(state: State) -> jax.Array:
    """Which problems [C] are not positive definite, and may become so with more on the diagonal."""
    return ~state.definite & (state.lifted < len(LIFTS) - 1)
