"""Block principal pivoting for x >= 0, A x - b >= 0, x'(A x - b) = 0: many problems at once, the batch in the last axis."""
import jax
import jax.numpy as jnp

PATIENCE = 3


def pivot(multiply, solve, b, free, limit):
    """The solution of every problem of a batch, A symmetric with a diagonal near 1.

    Exchanges all violators of x >= 0 (free) and A x >= b (fixed) while their number shrinks, or for PATIENCE rounds if it does not, else
    only the one of largest index, which ends (Murty 1974; Portugal, Judice & Vicente 1994).

    multiply: (x, absolute=False) -> A x, or |A| x. solve: (free, b) -> (x, zero where not free; definite [B], whether A_FF is positive
    definite). b [K, B]. free: bool [K, B], the first guess. limit: most rounds.
    Returns x [K, B], free [K, B], unfinished bool [B], definite bool [B], rounds int32 [B].
    """
    size = b.shape[0]
    eps = 4 * size * jnp.finfo(b.dtype).eps
    numbers = jax.lax.broadcasted_iota(jnp.int32, b.shape, 0)

    def going(state):
        return (state[0] == 0) | (jnp.any(state[2]) & (state[0] < limit))

    def turn(state):
        number, free, wrong, _, definite, fewest, patience, rounds = state
        count = jnp.sum(wrong, 0, dtype=jnp.int32)
        patience = jnp.where(count < fewest, PATIENCE, patience - 1)
        last = numbers == jnp.max(jnp.where(wrong, numbers, -1), 0, keepdims=True)
        free = free ^ (wrong & ((patience >= 0)[None] | last))
        x, still_definite = solve(free, b)
        slack, scale = multiply(x) - b, multiply(x, absolute=True) + jnp.abs(b)
        still = jnp.where(free, x < -eps * jnp.max(jnp.abs(x), 0, keepdims=True), slack < -eps * scale)
        rounds = rounds + ((count > 0) | (number == 0)).astype(jnp.int32)
        fewest = jnp.where(number == 0, fewest, jnp.minimum(count, fewest))  # before the first turn nothing is known to be wrong
        return number + 1, free, still, x, definite & still_definite, fewest, patience, rounds

    zeros, nothing = jnp.zeros(b.shape[1:], jnp.int32), jnp.zeros(b.shape, bool)
    start = (jnp.zeros((), jnp.int32), free, nothing, jnp.zeros_like(b), ~nothing[0], zeros + size + 1, zeros + PATIENCE, zeros)
    _, free, wrong, x, definite, _, _, rounds = jax.lax.while_loop(going, turn, start)
    return jnp.maximum(x, 0), free, jnp.any(wrong, 0), definite, rounds
