"""The tables of Wan's sharding: which axis of a parameter is split, and over which axes of the mesh an activation lies."""
import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from tqd_jax.models.wan.lora import MODULES
from transfer_jax.runtime.parallel.mesh import ROWS, parameter_spec

REPLICATED = ()
# paths of leaves, blocks stacked on a leading axis -> a spec of shard_tree (runtime.parallel.mesh): a token's width is split
PARAMETERS = (
    (r'blocks/(.+/)?(bias|scale|modulation)$', REPLICATED),
    (r'blocks/(.+/)?((q|k|v|up)/kernel|lora_a)$', (None, 'parameters', None)),
    (r'blocks/(.+/)?((out|down)/(kernel|kernel_scale)|lora_b)$', (None, None, 'parameters')),
    (r'blocks/(.+/)?kernel_scale$', REPLICATED),
)
# what an array is -> the axes of the mesh over which each of its axes lies
ACTIVATIONS = {
    'tokens': (ROWS, 'context', None),  # [B, S, D]
    'times': (ROWS, 'context'),  # t of every token [B, S]
    'time': (ROWS, None, None),  # its rows in a block [B, 6, D]
    'token_time': (ROWS, 'context', None, None),  # [B, S, 6, D]
    'text': (ROWS, None, None),  # [B, T, D]
    'field': (ROWS, None, None),  # [B, S, channels of a patch]: every device of a context compares whole clips
}


def several(mesh: Mesh | None) -> bool:
    """Whether a mesh has more than one device."""
    return mesh is not None and mesh.size > 1


def constrained(x: jax.Array, kind: str, mesh: Mesh | None) -> jax.Array:
    """x as it lies by ACTIVATIONS[kind]; an axis that the mesh does not divide lies whole on every device. mesh: None for one device."""
    if not several(mesh):
        return x
    return jax.lax.with_sharding_constraint(x, NamedSharding(mesh, fitting(x.shape, ACTIVATIONS[kind], mesh)))


def fitting(shape: tuple[int, ...], axes: tuple, mesh: Mesh) -> PartitionSpec:
    """The spec of an array of this shape whose axes lie over these axes of the mesh, without those that do not divide."""
    parts = lambda names: _product(mesh, (names,) if isinstance(names, str) else names or ())
    return PartitionSpec(*(names if size % parts(names) == 0 else None for size, names in zip(shape, axes, strict=True)))


def _product(mesh, names):
    size = 1
    for name in names:
        size *= mesh.shape[name]
    return size


def layer_sharding(name: str, leaf: str, shape: tuple[int, ...], layers: int, mesh: Mesh) -> NamedSharding:
    """How a leaf (kernel, lora_a, lora_b) of a dense layer is split, as one block has it.

    name: of the layer, one of tqd_jax.models.wan.lora.MODULES in a block, whose leaves are stacked over the layers, or beside the blocks.
    """
    if name not in MODULES:
        return NamedSharding(mesh, parameter_spec(f'{name}/{leaf}', shape, mesh, rules=PARAMETERS))
    spec = parameter_spec(f'blocks/{name}/{leaf}', (layers, *shape), mesh, rules=PARAMETERS)
    return NamedSharding(mesh, PartitionSpec(*spec[1:]))
