"""TrainState: what training carries from step to step."""
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from transfer_jax.runtime.errors import UserError

LAYOUT = 2  # of TrainState in checkpoints; raise it when its fields change


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainState:
    """step: int32 scalar, updates done. trained: the model's parameters that training changes. optimizer: optax's state for them.
    average: their moving average. Frozen parameters are no part of it."""
    step: jax.Array
    trained: Any
    optimizer: Any
    average: Any


def init_state(trained, optimizer):
    """The state before the first step; the average starts at the parameters themselves (a copy: the step donates its input)."""
    return TrainState(step=jnp.zeros((), jnp.int32), trained=trained, optimizer=optimizer.init(trained),
                      average=jax.tree.map(jnp.copy, trained))


def shardings_of(abstract):
    """The sharding of every leaf of a tree of jax.ShapeDtypeStruct."""
    return jax.tree.map(lambda leaf: leaf.sharding, abstract)


def require_layout(workdir, extras):
    """Raises UserError where the extras of a checkpoint in the folder are those of a version with another TrainState."""
    if extras.get('layout') != LAYOUT:
        raise UserError(f'{workdir} has checkpoints of an earlier version of tqd_jax, whose state has another layout: '
                        'go on with that version, or start in another --workdir')
