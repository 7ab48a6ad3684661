"""Model: the contract of all networks, three pure functions of (trained, frozen) parameters."""
import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from flax.traverse_util import flatten_dict, unflatten_dict

from transfer_jax.experiment.models.layers import normals

RANDOM = ('kernel', 'cls_token', 'pos_embed')  # names of leaves that start at random


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
    """A network as three pure functions. A row's output depends on that row of the batch alone.

    init(key) -> (trained, frozen): pytrees of float32 arrays. frozen is {} where every array is trained. Arrays of a file do not
      depend on the key, so one `frozen` of such a model serves many keys: jax.vmap(init, out_axes=(0, None)). It must be an argument of
      compiled programs: closed over, it would become constants of the program.
    apply(trained, frozen, inputs) -> float32 [B, outputs], of float32 inputs: features [B, F], or normalised images [B, H, W, C].
    features(trained, frozen, inputs) -> float32 [B, D]: the input of the head.
    notes: lines for the user about the making of the model, such as a head that a file lacks.
    """
    init: Callable[[jax.Array], tuple[Any, Any]]
    apply: Callable[[Any, Any, jax.Array], jax.Array]
    features: Callable[[Any, Any, jax.Array], jax.Array]
    notes: tuple[str, ...] = ()


def model_of(make: Callable[..., nnx.Module], *, trainable: str = 'all', arrays: Mapping[tuple, Any] | None = None,
             notes: tuple[str, ...] = ()) -> Model:
    """The Model of an NNX module that has `features` and `head`.

    make(rngs=...) -> the module at the start, where leaves with a name in RANDOM hold the standard deviation of their draw.
    trainable: 'all' parameters (statistics are frozen), or the 'head' alone. arrays: {path: array} that replace draws.
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


def fresh(make: Callable[..., nnx.Module], key: jax.Array, without: Collection[tuple] = ()) -> dict[tuple, jax.Array]:
    """{path: array} of a module's variables at the start, except the paths in `without`."""
    leaves = {path: x for path, x in variables(make(rngs=nnx.Rngs(params=0))).items() if path not in without}
    noise = normals(key, {path: x.shape for path, x in leaves.items() if path[-1] in RANDOM})
    return leaves | {path: leaves[path] * x for path, x in noise.items()}


def variables(module: nnx.Module, kind: type = nnx.Variable) -> dict[tuple, jax.Array]:
    """{path: array} of a module's variables of a kind."""
    return flatten_dict(nnx.to_pure_dict(nnx.state(module, kind)))


def shapes(make: Callable[..., nnx.Module], kind: type = nnx.Variable) -> dict[tuple, jax.ShapeDtypeStruct]:
    """The variables of make(rngs=...) as shapes, with nothing allocated."""
    return variables(nnx.eval_shape(lambda: make(rngs=nnx.Rngs(params=0))), kind)


def join(graphdef: nnx.GraphDef, trained: Any, frozen: Any) -> nnx.Module:
    """The module with its parameters in place."""
    return nnx.merge(graphdef, unflatten_dict(flatten_dict(frozen) | flatten_dict(trained)))
