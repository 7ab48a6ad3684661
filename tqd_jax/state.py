"""What training carries from step to step, and its sharded birth."""
import jax
import jax.numpy as jnp
import optax
from flax import struct
from optax import contrib

MUON_MOMENTUM = 0.95


@struct.dataclass
class TrainState:
    """step: int32 scalar, updates done. params and ema: the model's weights and their moving average. opt_state: optax's."""
    step: jax.Array
    params: dict
    opt_state: tuple
    ema: dict


def make_optimizer(train):
    """AdamW or Muon after clipping by the global norm; a linear warm-up, then a constant or cosine rate. `train` is config.train.

    Muon (Jordan et al. 2024) orthogonalises the updates of the blocks' matrices, scaled to the size of AdamW's (Liu et al. 2025,
    arXiv:2502.16982), so that one learning rate serves both; everything else goes through AdamW with Nesterov's momentum.
    Returns (optimizer, schedule).
    """
    tail = {'constant': lambda: optax.constant_schedule(train.learning_rate),
            'cosine': lambda: optax.cosine_decay_schedule(train.learning_rate, max(1, train.steps - train.warmup))}[train.schedule]()
    schedule = optax.join_schedules([optax.linear_schedule(0.0, train.learning_rate, max(1, train.warmup)), tail], [train.warmup])
    if train.optimizer == 'muon':
        update = contrib.muon(schedule, beta=MUON_MOMENTUM, adam_b1=train.b1, adam_b2=train.b2, weight_decay=train.weight_decay,
                              adam_weight_decay=train.weight_decay, consistent_rms=0.2, muon_weight_dimension_numbers=_block_matrices)
    else:
        update = optax.adamw(schedule, b1=train.b1, b2=train.b2, weight_decay=train.weight_decay)
    return optax.chain(optax.clip_by_global_norm(train.clip_norm), update), schedule


def _block_matrices(params):
    """For optax's Muon: which axes of a stacked kernel [layers, in, out] are the matrix; None where a leaf is none of the blocks'."""
    stacked = contrib.MuonDimensionNumbers(reduction_axis=1, output_axis=2)
    names = lambda path: [entry.key for entry in path]
    is_matrix = lambda path: names(path)[0] == 'blocks' and names(path)[-1] == 'kernel'
    return jax.tree.map_with_path(lambda path, leaf: stacked if is_matrix(path) else None, params)


def init_state(params, optimizer):
    """The state before the first step; the average starts at the weights themselves (a copy: the step donates its input)."""
    return TrainState(step=jnp.zeros((), jnp.int32), params=params, opt_state=optimizer.init(params), ema=jax.tree.map(jnp.copy, params))
