"""Preconditioned L-BFGS for many convex problems side by side; those that are done leave the batch."""
import dataclasses
from collections.abc import Callable

import numpy as np

from transfer_jax.experiment.linear.objective import Objective

MEMORY = 16      # pairs of steps and changes of the gradient
SUFFICIENT = 1e-4  # part of the linear decrease that a step must reach (Armijo)
HALVINGS = 30
Precondition = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (gradient [C, A, D], numbers of the fits [A]) -> [C, A, D]


@dataclasses.dataclass(frozen=True)
class Minimum:
    """theta [C, L, D]; iterations [L]; converged [L]: whether the last step was below the tolerance."""
    theta: np.ndarray
    iterations: np.ndarray
    converged: np.ndarray


def minimise(objective: Objective, theta: np.ndarray, precondition: Precondition, *, tolerance: float, max_iterations: int) -> Minimum:
    """The Minimum from theta [C, L, D] on: a fit is done where no parameter would move by more than `tolerance`, relative to the
    largest parameter and 1e-3 at least, or where the precision shows no decrease any more.
    """
    theta, alive = theta.copy(), np.arange(theta.shape[1])
    iterations, converged = np.zeros(len(alive), int), np.zeros(len(alive), bool)
    x, (value, gradient), history = theta, objective(theta), []
    for _ in range(max_iterations):
        direction = -_two_loop(gradient, history, lambda g, alive=alive: precondition(g, alive))
        size = np.abs(direction).max((0, 2)) / np.maximum(np.abs(x).max((0, 2)), 1e-3)
        step, new_value, new_gradient = _search(objective, x, value, gradient, direction)
        moved = step > 0
        iterations[alive] += moved
        change, turn = step[:, None] * direction, new_gradient - gradient
        x, value, gradient = x + change, new_value, new_gradient
        history = [*history[-MEMORY + 1:], (change, turn, _inverse(np.einsum('cld,cld->l', change, turn)))]
        done = (size <= tolerance) | ~moved
        theta[:, alive] = x
        converged[alive] = done
        if done.all():
            break
        if done.any():
            keep = ~done
            objective, alive, x, value, gradient = objective.take(keep), alive[keep], x[:, keep], value[keep], gradient[:, keep]
            history = [(change[:, keep], turn[:, keep], rho[keep]) for change, turn, rho in history]
    return Minimum(theta, iterations, converged)


def _two_loop(gradient, history, precondition):
    """H gradient [C, L, D], with H the inverse Hessian of the history, from the preconditioner times the last pair's scale."""
    q, alphas = gradient.copy(), []
    for change, turn, rho in reversed(history):
        alpha = rho * np.einsum('cld,cld->l', change, q)
        q -= alpha[:, None] * turn
        alphas.append(alpha)
    q = precondition(q)
    if history:
        change, turn, rho = history[-1]
        whole = np.einsum('cld,cld->l', turn, precondition(turn))
        q *= np.where(rho > 0, _inverse(rho) * _inverse(whole), 1)[:, None]
    for (change, turn, rho), alpha in zip(history, reversed(alphas), strict=True):
        q += (alpha - rho * np.einsum('cld,cld->l', turn, q))[:, None] * change
    return q


def _search(objective, x, value, gradient, direction):
    """(step [L], value, gradient) along the direction: 1, halved until the value falls enough; 0 where it never does."""
    slope, step = np.einsum('cld,cld->l', gradient, direction), np.ones_like(value)
    slack = 4 * np.finfo(value.dtype).eps * np.abs(value)
    for _ in range(HALVINGS):
        new_value, new_gradient = objective(x + step[:, None] * direction)
        short = ~(new_value <= value + SUFFICIENT * step * slope + slack)
        if not short.any():
            return step, new_value, new_gradient
        step = np.where(short, step / 2, step)
    step = np.where(short, 0, step)
    return step, np.where(short, value, new_value), np.where(short[:, None], gradient, new_gradient)


def _inverse(x):
    """1 / x where x > 0, else 0."""
    return np.divide(1, x, out=np.zeros_like(x), where=x > 0)
