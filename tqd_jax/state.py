"""What training carries from step to step, and its sharded birth."""
import jax
import jax.numpy as jnp
import optax
from flax import struct


@struct.dataclass
class TrainState:
    """step: int32 scalar, updates done. params and ema: the model's weights and their moving average. opt_state: optax's."""
    step: jax.Array
    params: dict
    opt_state: tuple
    ema: dict


def make_optimizer(train):
    """AdamW after clipping by the global norm, with a linear warm-up and then a constant or cosine rate; `train` is config.train."""
    tail = {'constant': lambda: optax.constant_schedule(train.learning_rate),
            'cosine': lambda: optax.cosine_decay_schedule(train.learning_rate, max(1, train.steps - train.warmup))}[train.schedule]()
    schedule = optax.join_schedules([optax.linear_schedule(0.0, train.learning_rate, max(1, train.warmup)), tail], [train.warmup])
    adamw = optax.adamw(schedule, b1=train.b1, b2=train.b2, weight_decay=train.weight_decay)
    return optax.chain(optax.clip_by_global_norm(train.clip_norm), adamw), schedule


def init_state(params, optimizer):
    """The state before the first step; the average starts at the weights themselves (a copy: the step donates its input)."""
    return TrainState(step=jnp.zeros((), jnp.int32), params=params, opt_state=optimizer.init(params), ema=jax.tree.map(jnp.copy, params))
