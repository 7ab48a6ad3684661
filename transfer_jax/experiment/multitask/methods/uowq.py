"""UOWQ: every task is the target of all others, weighted as G says (arXiv:2601.10779); W may follow the training."""
import functools

from transfer_jax.experiment.multitask.methods.method import Method
from transfer_jax.experiment.multitask.methods.mixture import task_weights

SCHEDULE = (0.1, 0.3, 0.5, 0.7)  # fractions of the training; the first sees features that have learned a little


def uowq(detail: float, dynamic: bool = True) -> Method:
    """Every task's loss is the mean of all tasks' losses under its own head, at the weights of task_weights(_, detail).

    dynamic: W is solved at all fractions of SCHEDULE, and from the second on moves half of the way; else once, at the first of them. Before
    that W is the identity.
    """
    return Method(mixture=functools.partial(task_weights, detail=detail), solve_at=SCHEDULE if dynamic else SCHEDULE[:1], damping=0.5)
