"""How frozen parameters are stored: in float32, with kernels in bfloat16, or with kernels of 8 bits and a scale for every output."""
import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32, Shaped

STORAGES = ('float32', 'bfloat16', 'int8', 'float8_e4m3fn')
EIGHT_BITS = ('int8', 'float8_e4m3fn')


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Scaled:
    """A kernel as 8-bit values [..., in, out] and scales float32 [..., 1, out]: kernel = values * scale."""
    values: Shaped[Array, '... inputs outputs']
    scale: Float32[Array, '... 1 outputs']

    def astype(self, dtype):
        """The kernel in a floating dtype; the product is formed in float32."""
        return (self.values.astype(jnp.float32) * self.scale).astype(dtype)


def scaled(params):
    """The tree with one Scaled for every pair of a kernel and its kernel_scale."""
    if not isinstance(params, dict):
        return params
    if 'kernel_scale' not in params:
        return {name: scaled(value) for name, value in params.items()}
    rest = {name: value for name, value in params.items() if name != 'kernel_scale'}
    return {**rest, 'kernel': Scaled(params['kernel'], params['kernel_scale'])}


def stored(abstract_frozen, storage: str):
    """The abstract tree of the model's frozen parameters as they are stored: jax.ShapeDtypeStruct leaves.

    Kernels in the blocks take the storage's dtype, with a sibling kernel_scale float32 [layers, 1, out] where it is 'int8' or
    'float8_e4m3fn'; kernels of text_in and text_out take it too, but bfloat16 in place of 8 bits. All else stays float32: norms,
    modulation, biases, the time's projections, the patches' and LoRA's. Shardings are kept; a kernel_scale is sharded as its kernel's
    outputs are. Raises ValueError on another storage.
    """
    if storage not in STORAGES:
        raise ValueError(f'frozen parameters are stored as one of {STORAGES}, got {storage!r}')
    if storage == 'float32':
        return abstract_frozen
    outer = 'bfloat16' if storage in EIGHT_BITS else storage
    kinds = {'blocks': storage, 'text_in': outer, 'text_out': outer}
    return {name: _stored(value, kinds[name]) if name in kinds else value for name, value in abstract_frozen.items()}


def _stored(tree, dtype):
    if not isinstance(tree, dict):
        return tree
    if 'kernel' not in tree:
        return {name: _stored(value, dtype) for name, value in tree.items()}
    kernel = tree['kernel']
    extra = {'kernel_scale': _scale(kernel)} if dtype in EIGHT_BITS else {}
    return {**tree, 'kernel': kernel.update(dtype=jnp.dtype(dtype)), **extra}


def _scale(kernel):
    shape, sharding = (*kernel.shape[:-2], 1, kernel.shape[-1]), kernel.sharding
    if sharding is not None:
        axes = (*sharding.spec, *(None,) * len(shape))[:len(shape)]
        sharding = sharding.update(spec=jax.sharding.PartitionSpec(*axes[:-2], None, axes[-1]))
    return jax.ShapeDtypeStruct(shape, jnp.float32, sharding=sharding)
