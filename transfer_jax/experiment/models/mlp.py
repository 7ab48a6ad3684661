"""The linear model and the multilayer perceptron."""
import itertools

import jax
import jax.numpy as jnp
from flax import nnx

from transfer_jax.experiment.models.layers import he, lecun


class MLP(nnx.Module):
    """Dense layers with exact GELU (smooth, so that Fisher information is), then the head; without hidden layers, the linear model.

    Inputs are flattened. The linear model starts at zero: its likelihood is convex, so that no start is better.
    """

    def __init__(self, inputs: int, hidden: tuple[int, ...], outputs: int, *, dtype: str, rngs: nnx.Rngs):
        widths = (inputs, *hidden)
        self.layers = nnx.List([nnx.Linear(*pair, kernel_init=he, dtype=dtype, rngs=rngs) for pair in itertools.pairwise(widths)])
        self.head = nnx.Linear(widths[-1], outputs, kernel_init=lecun if hidden else nnx.initializers.zeros, rngs=rngs)

    def features(self, x: jax.Array) -> jax.Array:
        """[B, D], D the last hidden width, or the number of inputs."""
        x = x.reshape(len(x), -1).astype(jnp.float32)
        for layer in self.layers:
            x = jax.nn.gelu(layer(x), approximate=False)
        return x
