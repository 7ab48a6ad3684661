"""The linear model and the multilayer perceptron."""
import itertools

import jax
import jax.numpy as jnp
from flax import nnx


class MLP(nnx.Module):
    """Dense layers with GELU (exact: smooth, as Fisher information likes it), then the head; without hidden layers, the linear model.

    Inputs are flattened. The linear model starts at zero, where its likelihood, convex, has no better place.
    """

    def __init__(self, inputs, hidden, outputs, *, dtype, rngs):
        widths = (inputs, *hidden)
        self.layers = nnx.List([nnx.Linear(*pair, dtype=dtype, kernel_init=nnx.initializers.he_normal(), rngs=rngs)
                                for pair in itertools.pairwise(widths)])
        start = nnx.initializers.lecun_normal() if hidden else nnx.initializers.zeros
        self.head = nnx.Linear(widths[-1], outputs, kernel_init=start, rngs=rngs)

    def features(self, x):
        """[B, D], D the last hidden width, or the number of inputs."""
        x = x.reshape(len(x), -1).astype(jnp.float32)
        for layer in self.layers:
            x = jax.nn.gelu(layer(x), approximate=False)
        return x
