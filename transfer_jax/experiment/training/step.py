"""One training step of one replica, pure. A batch contains its loss weights, so the step does not depend on the method."""
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct

from transfer_jax.runtime.keys import stream_key


@struct.dataclass
class State:
    """One replica's fit: the trained parameters, Adam's moments, and step int32 [], the number of steps so far."""
    trained: Any
    optimizer: optax.OptState
    step: jax.Array


def first_state(trained: Any) -> State:
    """The State before the first step."""
    return State(trained=trained, optimizer=optax.scale_by_adam().init(trained), step=jnp.int32(0))


def train_step(state: State, batch: Mapping[str, jax.Array], start: Any, seed: jax.Array, *, apply: Callable[[Any, jax.Array], jax.Array],
               loss: Callable[[jax.Array, jax.Array], jax.Array], prepare: Callable[[jax.Array, jax.Array], jax.Array], total: jax.Array,
               steps: jax.Array, learning_rate: float, prior: float) -> tuple[State, jax.Array]:
    """(the next State, the loss): Adam on sum_i weight_i l_i / B + prior / (2 W) |theta - theta_start|^2, with the
    learning rate learning_rate (1 + cos(pi step / steps)) / 2, which falls to 0 at `steps`.

    batch: inputs [B, ...], labels [B], weight [B], rows [B]; start: theta at step 0; seed: of the augmentation's keys. apply(trained,
    inputs) -> outputs; loss(outputs, labels) -> [B]; prepare(inputs, keys) -> float32 inputs. total: W []; steps []: after so many steps
    a state does not change any more. prior: the strength of the pull to the start, in samples (ridge for a head that starts at zero, L2-SP
    in fine-tuning).
    """
    keys = jax.random.split(stream_key(seed, 'augment', state.step), len(batch['rows']))
    inputs = prepare(batch['inputs'], keys)

    def objective(trained):
        per_example = loss(apply(trained, inputs), batch['labels'])
        pull = sum(jnp.sum((new - old) ** 2) for new, old in zip(jax.tree.leaves(trained), jax.tree.leaves(start), strict=True))
        return jnp.mean(batch['weight'] * per_example) + prior / (2 * total) * pull

    value, gradient = jax.value_and_grad(objective)(state.trained)
    with jax.numpy_dtype_promotion('standard'):  # optax counts in int32 and decays in float32
        update, optimizer = optax.scale_by_adam().update(gradient, state.optimizer, state.trained)
    rate = learning_rate * 0.5 * (1 + jnp.cos(jnp.pi * jnp.minimum(state.step / steps, 1.0)))
    trained = jax.tree.map(lambda old, change: old - rate * change, state.trained, update)
    new = State(trained=trained, optimizer=optimizer, step=state.step + 1)
    return jax.tree.map(lambda old, new: jnp.where(state.step < steps, new, old), state, new), value


def softmax_loss(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """-log p(label) [B] from logits [B, C] and labels int [B]."""
    return optax.softmax_cross_entropy_with_integer_labels(outputs, labels)


def squared_loss(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """(output - label)^2 / 2 [B] from outputs [B, 1] and labels float [B]."""
    return (outputs[:, 0] - labels) ** 2 / 2
