"""Method: the protocol of all methods."""
import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def no_state(tasks: int) -> tuple[()]:
    """No state."""
    return ()


def equal_combine(state: Any, losses: jax.Array, grads: jax.Array | None, key: jax.Array) -> tuple[None, jax.Array, Any]:
    """Every task weighs 1."""
    return None, jnp.ones_like(losses), state


@dataclasses.dataclass(frozen=True, kw_only=True)
class Method:
    """How the losses of T tasks become one step.

    init(T) -> state, any pytree. combine(state, losses [T], grads [T, d], key) -> (direction [d], weights [T], state): the direction to
    descend for the shared parameters, whose gradients by task are grads' rows, and how much each task's own head follows its gradient.
    A direction of None means weights @ grads. A method with gradients=False always returns None, receives None for grads, and costs one
    backward pass. Without a trunk d is 0, and only the weights matter.

    mixture(quadratics) -> W [T, T]: how much a sample of task k counts in task t's likelihood, computed at the fractions `solve_at` of the
    training: the first W replaces the identity, and later W moves the part `damping` of the way to the new one. None: W is the identity.
    shared False: a trunk for each task.
    """
    init: Callable[[int], Any] = no_state
    combine: Callable[..., Any] = equal_combine
    gradients: bool = False
    mixture: Callable[..., Any] | None = None
    solve_at: tuple[float, ...] = ()
    damping: float = 1.0
    shared: bool = True
