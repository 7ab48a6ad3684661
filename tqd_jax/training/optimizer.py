"""The optimizer of a run and its learning rate: which leaves decay, and which ones Muon takes."""
import jax
import optax
from optax import contrib

MUON_MOMENTUM = 0.95


def make_optimizer(train):
    """(optimizer, schedule): AdamW or Muon after clipping by the global norm, at the rate of make_schedule. `train` is config.train.

    Muon (Jordan et al. 2024) orthogonalises the updates of the blocks' matrices, scaled to the size of AdamW's (Liu et al. 2025,
    arXiv:2502.16982), so that one learning rate serves both; everything else goes through Adam with Nesterov's momentum. The decay
    p <- p - rate * weight_decay * p acts on kernels alone, in both.
    """
    if train.optimizer == 'muon':
        update = contrib.muon(1.0, beta=MUON_MOMENTUM, adam_b1=train.b1, adam_b2=train.b2, consistent_rms=0.2,
                              muon_weight_dimension_numbers=_block_matrices)
    else:
        update = optax.adam(1.0, b1=train.b1, b2=train.b2)
    schedule = make_schedule(train)
    decay = optax.add_decayed_weights(-train.weight_decay, mask=is_decayed)  # update is negative already
    return optax.chain(optax.clip_by_global_norm(train.clip_norm), update, decay, optax.scale_by_schedule(schedule)), schedule


def make_schedule(train):
    """The learning rate of step s = 0, 1, ...: r (s + 1) / warmup for s < warmup, then r, or along a cosine to 0 at train.steps."""
    tail = {'constant': lambda: optax.constant_schedule(train.learning_rate),
            'cosine': lambda: optax.cosine_decay_schedule(train.learning_rate, max(1, train.steps - train.warmup))}[train.schedule]()
    rise = lambda step: train.learning_rate * (step + 1) / max(1, train.warmup)
    return optax.join_schedules([rise, tail], [train.warmup])


def is_decayed(params):
    """For weight decay: True at kernels; False at norms, biases, modulation and embeddings."""
    return jax.tree.map_with_path(lambda path, leaf: path[-1].key == 'kernel', params)


def _block_matrices(params):
    """For optax's Muon: which axes of a stacked kernel [layers, in, out] are the matrix; None where a leaf is none of the blocks'."""
    stacked = contrib.MuonDimensionNumbers(reduction_axis=1, output_axis=2)
    names = lambda path: [entry.key for entry in path]
    is_matrix = lambda path: names(path)[0] == 'blocks' and names(path)[-1] == 'kernel'
    return jax.tree.map_with_path(lambda path, leaf: stacked if is_matrix(path) else None, params)
