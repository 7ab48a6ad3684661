"""Model: what every kind of network becomes, and which of its parameters are trained."""
import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from flax.traverse_util import flatten_dict, unflatten_dict

from transfer_jax.experiment.models.layers import normals

DRAWN = ('kernel', 'cls_token', 'pos_embed')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
    """A network as three pure functions. No row of a batch has a say in another row's output.

    init(key) -> (trained, frozen): pytrees of float32 arrays. What is read from a file does not depend on the key, so `frozen` of such a
      model may be kept once for many keys: jax.vmap(init, out_axes=(0, None)). Under jit it would become constants of the program.
    apply(trained, frozen, inputs) -> float32 [B, outputs], of float32 inputs: features [B, F], or normalised images [B, H, W, C].
    features(trained, frozen, inputs) -> float32 [B, D]: what the head takes.
    notes: what a user should know of how the model came about, a line each.
    """
    init: Callable[[jax.Array], tuple[Any, Any]]
    apply: Callable[[Any, Any, jax.Array], jax.Array]
    features: Callable[[Any, Any, jax.Array], jax.Array]
    notes: tuple[str, ...] = ()


def model_of(make, *, trainable='all', arrays=None, notes=()):
    """The Model of an NNX module that has `features` and `head`.

    make(rngs=...) -> the module as it starts, but that leaves with a name in DRAWN hold the standard deviation of what init draws there.
    trainable: 'all' its parameters (statistics stay), or 'head' alone. arrays: {path: array} in place of what init would draw.
    """
    graphdef, arrays = nnx.split(nnx.eval_shape(lambda: make(rngs=nnx.Rngs(params=0))))[0], arrays or {}
    trainable_paths = {path for path in shapes(make, nnx.Param) if trainable == 'all' or path[0] == 'head'}
    start = jax.jit(lambda key: fresh(make, key, arrays))

    def init(key):
        leaves = {path: jnp.asarray(x) for path, x in arrays.items()} | start(key)
        parts = ({path: x for path, x in leaves.items() if (path in trainable_paths) == is_trainable} for is_trainable in (True, False))
        return tuple(map(unflatten_dict, parts))

    def features(trained, frozen, inputs):
        return join(graphdef, trained, frozen).features(inputs).astype(jnp.float32)

    def apply(trained, frozen, inputs):
        return join(graphdef, trained, frozen).head(features(trained, frozen, inputs))

    return Model(init=init, apply=apply, features=features, notes=notes)


def fresh(make, key, without=()):
    """{path: array} of a module's variables at the start, but for some paths."""
    leaves = {path: x for path, x in variables(make(rngs=nnx.Rngs(params=0))).items() if path not in without}
    noise = normals(key, {path: x.shape for path, x in leaves.items() if path[-1] in DRAWN})
    return leaves | {path: leaves[path] * x for path, x in noise.items()}


def variables(module, kind=nnx.Variable):
    """{path: array} of a module's variables of a kind."""
    return flatten_dict(nnx.to_pure_dict(nnx.state(module, kind)))


def shapes(make, kind=nnx.Variable):
    """The variables of make(rngs=...) as shapes, with nothing allocated."""
    return variables(nnx.eval_shape(lambda: make(rngs=nnx.Rngs(params=0))), kind)


def join(graphdef, trained, frozen):
    """The module with its parameters in place."""
    return nnx.merge(graphdef, unflatten_dict(flatten_dict(frozen) | flatten_dict(trained)))
