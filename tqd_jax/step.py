"""The pure training and evaluation steps: state and a batch of arrays in, state and metrics out; no I/O, no jit, no mesh.

Everything random about an example comes from the key of (seed, stream, step, example): the same on any mesh and after any resume.
"""
import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from tqd_jax.codec import Codec
from tqd_jax.flow import Path, loss_per_example
from tqd_jax.timesteps import sample_timesteps, stratified_levels
from transfer_jax.runtime.keys import example_keys, stream_key


@dataclasses.dataclass(frozen=True, kw_only=True)
class Problem:
    """What is trained: model(params, x, t, tokens) -> output, on which path, through which codec, from which seed."""
    model: Callable
    codec: Codec
    path: Path
    seed: int
    caption_dropout: float = 0.1
    stratified: bool = True


def draw_timesteps(problem, batch, step):
    """t [B]: each example's law at its own level, which is a function of (seed, step, example)."""
    uniforms = jax.vmap(jax.random.uniform)(example_keys(problem.seed, 't', step, batch['example']))
    if problem.stratified:
        levels = stratified_levels(stream_key(problem.seed, 'strata', step), uniforms)
    else:
        levels = jnp.clip(uniforms, 1e-7, 1 - 1e-7)
    return sample_timesteps(batch['law'], levels)


def losses(problem, params, batch, t, step, stream):
    """Loss of every example [B] at its t [B], with noise of (seed, stream, step, example)."""
    x0 = problem.codec.encode(batch['frames'])
    keys = example_keys(problem.seed, stream, step, batch['example'])
    eps = jax.vmap(lambda key: jax.random.normal(key, x0.shape[1:]))(keys)
    output = problem.model(params, problem.path.noised(x0, eps, t), t, batch['tokens'])
    return loss_per_example(output, problem.path.target(x0, eps, t))


def drop_captions(problem, batch, step):
    """The batch with each caption replaced by "nothing" (token 0) with probability caption_dropout, for classifier-free guidance."""
    uniforms = jax.vmap(jax.random.uniform)(example_keys(problem.seed, 'caption', step, batch['example']))
    return batch | {'tokens': jnp.where((uniforms < problem.caption_dropout)[:, None], 0, batch['tokens'])}


def train_step(problem, optimizer, accumulate, ema_decay, state, batch):
    """One update on sum_i weight_i loss_i / sum_i weight_i over the global batch.

    batch: the arrays of ARCHITECTURE.md's contract, B divisible by `accumulate`, which is how many slices the gradient is summed over.
    Returns the new state and metrics: loss, grad_norm (scalars), and t, loss_per_example, clip [B].
    """
    t = draw_timesteps(problem, batch, state.step)
    batch = drop_captions(problem, batch, state.step)

    def weighted_sum(params, part):
        loss = losses(problem, params, part['batch'], part['t'], state.step, 'noise')
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


def eval_step(problem, params, batch, t):
    """Loss [B] at given t [B], with noise that depends on the example alone: the same at every evaluation."""
    return losses(problem, params, batch, t, jnp.zeros((), jnp.int32), 'evaluation')


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
