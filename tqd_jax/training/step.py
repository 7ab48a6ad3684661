"""The pure training and evaluation steps: state and a batch of arrays in, state and metrics out; no I/O, no jit, no mesh."""
import jax
import jax.numpy as jnp
import optax

from tqd_jax.diffusion.objective import draw_timesteps, drop_captions, losses
from tqd_jax.training.state import TrainState


def train_step(objective, optimizer, accumulate, decay, state, frozen, batch, whole=lambda arrays: arrays):
    """One update on sum_i weight_i loss_i / sum_i weight_i over the global batch.

    accumulate: number of slices of the batch that the gradient is summed over, a divisor of B. decay: of the moving average.
    frozen: the tree of tqd_jax.diffusion.objective.init_frozen. batch: a Batch. whole: as draw_timesteps takes it.
    Returns the new state and metrics: loss, grad_norm (scalars), and t, loss_per_example, clip [B].
    """
    t = draw_timesteps(objective, batch, state.step, whole)
    batch = drop_captions(objective, frozen, batch, state.step)

    def weighted_sum(trained, part):
        batch, t = part
        loss = losses(objective, trained, frozen, batch, t, state.step, 'noise', training=True)
        return jnp.sum(batch.weight * loss), loss

    numerator, loss = _accumulated_grad(weighted_sum, accumulate, state.trained, (batch, t))
    denominator = jnp.maximum(jnp.sum(batch.weight), 1e-12)
    grads = jax.tree.map(lambda g: g / denominator, numerator)
    with jax.numpy_dtype_promotion('standard'):  # optax counts in int32 and decays in float32
        updates, optimizer_state = optimizer.update(grads, state.optimizer, state.trained)
    trained = optax.apply_updates(state.trained, updates)
    new = TrainState(step=state.step + 1, trained=trained, optimizer=optimizer_state, average=_averaged(state, trained, decay))
    metrics = {'loss': jnp.sum(batch.weight * loss) / denominator, 'grad_norm': optax.tree.norm(grads),
               't': t, 'loss_per_example': loss, 'clip': batch.clip}
    return new, metrics


def eval_step(objective, trained, frozen, batch, t):
    """Loss [B] at t [B], with noise that depends on the example alone: the same at every evaluation."""
    return losses(objective, trained, frozen, batch, t, jnp.zeros((), jnp.int32), 'evaluation')


def _accumulated_grad(function, slices, trained, inputs):
    """Sum over slices of the gradient of function(trained, slice)[0], and function's [1] in the inputs' order."""
    grad = jax.grad(function, has_aux=True)
    if slices == 1:
        return grad(trained, inputs)
    # slice s takes rows s, s + slices, ...: every device keeps its own rows in every slice
    parts = jax.tree.map(lambda x: x.reshape(x.shape[0] // slices, slices, *x.shape[1:]).swapaxes(0, 1), inputs)

    def add(total, part):
        one, aux = grad(trained, part)
        return jax.tree.map(jnp.add, total, one), aux

    total, aux = jax.lax.scan(add, jax.tree.map(jnp.zeros_like, trained), parts)
    return total, aux.swapaxes(0, 1).reshape(-1)


def _averaged(state, trained, decay):
    step = state.step.astype(jnp.float32)
    decay = jnp.minimum(decay, (1 + step) / (10 + step))  # an early average would otherwise remember the initial weights
    return jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, state.average, trained)
