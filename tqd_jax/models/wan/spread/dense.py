"""A dense layer whose kernel is split over devices: gathered in the dtype of the product, its gradient summed in a dtype of choice."""
import dataclasses
import functools

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float

REDUCE = ('float32', 'bfloat16')


@dataclasses.dataclass(frozen=True)
class Split:
    """part: how the kernel is split. dtype: of the product. reduce: of the gradients of kernel and bias when devices add theirs up.
    flat: whether the product has one leading axis, as a CPU's is quicker."""
    part: NamedSharding
    dtype: str
    reduce: str
    flat: bool = False

    def whole(self, kernel):
        """The kernel on every device, in the dtype of the product; it travels in this dtype, or in its own where that is narrower."""
        if kernel.dtype.itemsize > jnp.dtype(self.dtype).itemsize:
            kernel = jax.lax.with_sharding_constraint(kernel.astype(self.dtype), self.part)
        return everywhere(kernel, self.part.mesh).astype(self.dtype)


def everywhere(x, mesh):
    """x whole on every device."""
    return jax.lax.with_sharding_constraint(x, NamedSharding(mesh, PartitionSpec()))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def dense(x: Float[Array, '... inputs'], kernel: Float[Array, 'inputs outputs'], split: Split) -> Float[Array, '... outputs']:
    """x kernel of an x in the product's dtype, the kernel float32 and split as split.part says."""
    return _matmul(x, split.whole(kernel), split.flat)


def _forward(x, kernel, split):
    return dense(x, kernel, split), (x, kernel)


def _backward(split, saved, slope):
    x, kernel = saved
    dx = _matmul(slope, split.whole(kernel).T, split.flat)
    if split.flat:
        x, slope = (y.reshape(-1, y.shape[-1]) for y in (x, slope))
    leading = tuple(range(x.ndim - 1))
    gradient = jax.lax.dot_general(x, slope, ((leading, leading), ((), ())), preferred_element_type=jnp.dtype(split.reduce))
    return dx, jax.lax.with_sharding_constraint(gradient, split.part).astype(kernel.dtype)


dense.defvjp(_forward, _backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def add_bias(y: Float[Array, '... outputs'], bias: Float[Array, ' outputs'], split: Split) -> Float[Array, '... outputs']:
    """y plus a bias that every device has whole, in y's dtype."""
    return y + jnp.expand_dims(bias.astype(y.dtype), tuple(range(y.ndim - 1)))


def _bias_forward(y, bias, split):
    return add_bias(y, bias, split), bias


def _bias_backward(split, bias, slope):
    return slope, jnp.sum(slope, axis=tuple(range(slope.ndim - 1)), dtype=jnp.dtype(split.reduce)).astype(bias.dtype)


add_bias.defvjp(_bias_forward, _bias_backward)


def _matmul(x, kernel, flat):
    return (x.reshape(-1, x.shape[-1]) @ kernel).reshape(*x.shape[:-1], -1) if flat else x @ kernel
