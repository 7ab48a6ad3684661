"""One training step: pure, of one replica; a batch contains its loss weights, so the step does not depend on the method."""
import jax
import jax.numpy as jnp
import optax
from flax import struct

from transfer_jax.runtime.keys import stream_key


@struct.dataclass
class State:
    """One replica's fit: parameters, Adam's moments, and the number of steps done."""
    params: dict
    moments: tuple
    step: jax.Array


def fresh(params):
    """The State before the first step."""
    return State(params=params, moments=optax.scale_by_adam().init(params), step=jnp.int32(0))


def train_step(state, batch, start, seed, *, apply, loss, prepare, total, steps, learning_rate, prior):
    """(the next State, the loss): Adam on sum_i weight_i l_i / B + prior / (2 W) |theta - theta_start|^2, with the
    learning rate learning_rate (1 + cos(pi step / steps)) / 2, which falls to 0 at `steps`.

    batch: inputs [B, ...], labels [B], weight [B], rows [B]; start: theta at step 0; seed: of the augmentation's keys. apply(params,
    inputs) -> outputs; loss(outputs, labels) -> [B]; prepare(inputs, keys) -> float32 inputs. total: W []; steps []: a state that has done
    them stays as it is. prior: the strength of the pull to the start, in samples (ridge for a head from zero, L2-SP in fine-tuning).
    """
    keys = jax.random.split(stream_key(seed, 'augment', state.step), len(batch['rows']))
    inputs = prepare(batch['inputs'], keys)

    def objective(params):
        per_example = loss(apply(params, inputs), batch['labels'])
        pull = sum(jnp.sum((new - old) ** 2) for new, old in zip(jax.tree.leaves(params), jax.tree.leaves(start), strict=True))
        return jnp.mean(batch['weight'] * per_example) + prior / (2 * total) * pull

    value, gradient = jax.value_and_grad(objective)(state.params)
    with jax.numpy_dtype_promotion('standard'):  # optax counts in int32 and decays in float32
        update, moments = optax.scale_by_adam().update(gradient, state.moments, state.params)
    rate = learning_rate * 0.5 * (1 + jnp.cos(jnp.pi * jnp.minimum(state.step / steps, 1.0)))
    params = jax.tree.map(lambda old, change: old - rate * change, state.params, update)
    new = State(params=params, moments=moments, step=state.step + 1)
    return jax.tree.map(lambda old, new: jnp.where(state.step < steps, new, old), state, new), value


def softmax_loss(outputs, labels):
    """-log p(label) [B] from logits [B, C] and labels int [B]."""
    return optax.softmax_cross_entropy_with_integer_labels(outputs, labels)


def squared_loss(outputs, labels):
    """(output - label)^2 / 2 [B] from outputs [B, 1] and labels float [B]."""
    return (outputs[:, 0] - labels) ** 2 / 2
