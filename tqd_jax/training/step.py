"""The pure training and evaluation steps: state and a batch of arrays in, state and metrics out; no I/O, no jit, no mesh."""
import jax
import jax.numpy as jnp
import optax

from tqd_jax.diffusion.objective import draw_timesteps, drop_captions, losses


def train_step(objective, optimizer, accumulate, ema_decay, state, batch):
    """One update on sum_i weight_i loss_i / sum_i weight_i over the global batch.

    batch: the arrays of ARCHITECTURE.md's contract, B divisible by `accumulate`, which is how many slices the gradient is summed over.
    Returns the new state and metrics: loss, grad_norm (scalars), and t, loss_per_example, clip [B].
    """
    t = draw_timesteps(objective, batch, state.step)
    batch = drop_captions(objective, batch, state.step)

    def weighted_sum(params, part):
        loss = losses(objective, params, part['batch'], part['t'], state.step, 'noise')
        return jnp.sum(part['batch']['weight'] * loss), loss

    numerator, loss = _accumulated_grad(weighted_sum, accumulate, state.params, {'batch': batch, 't': t})
    denominator = jnp.maximum(jnp.sum(batch['weight']), 1e-12)
    grads = jax.tree.map(lambda g: g / denominator, numerator)
    with jax.numpy_dtype_promotion('standard'):  # optax counts in int32 and decays in float32
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    new = state.replace(step=state.step + 1, params=params, opt_state=opt_state, ema=_averaged(state, params, ema_decay))
    metrics = {'loss': jnp.sum(batch['weight'] * loss) / denominator, 'grad_norm': optax.tree.norm(grads),
               't': t, 'loss_per_example': loss, 'clip': batch['clip']}
    return new, metrics


def eval_step(objective, params, batch, t):
    """Loss [B] at given t [B], with noise that depends on the example alone: the same at every evaluation."""
    return losses(objective, params, batch, t, jnp.zeros((), jnp.int32), 'evaluation')


def _accumulated_grad(function, slices, params, inputs):
    """Sum over slices of the gradient of function(params, slice)[0], and function's [1] in the inputs' order."""
    grad = jax.grad(function, has_aux=True)
    if slices == 1:
        return grad(params, inputs)
    # slice s takes rows s, s + slices, ...: every device keeps its own rows in every slice
    parts = jax.tree.map(lambda x: x.reshape(x.shape[0] // slices, slices, *x.shape[1:]).swapaxes(0, 1), inputs)

    def add(total, part):
        one, aux = grad(params, part)
        return jax.tree.map(jnp.add, total, one), aux

    total, aux = jax.lax.scan(add, jax.tree.map(jnp.zeros_like, params), parts)
    return total, aux.swapaxes(0, 1).reshape(-1)


def _averaged(state, params, decay):
    step = state.step.astype(jnp.float32)
    decay = jnp.minimum(decay, (1 + step) / (10 + step))  # an early average would otherwise remember the initial weights
    return jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, state.ema, params)
