"""Inputs of a domain -> inputs of a model: scaling of features and images, augmentation of images."""
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from flax import struct

from transfer_jax.experiment.data.domains import Domain

ROWS = ('none', 'l1', 'l2')
COLUMNS = ('none', 'standard')
AUGMENT = ('none', 'crop', 'crop_flip')


@struct.dataclass
class Scaling:
    """inputs -> (inputs - mean) / scale, after every row of features was divided by its norm; mean and scale broadcast over examples."""
    mean: jax.Array
    scale: jax.Array
    rows: str = struct.field(pytree_node=False, default='none')


def normalise(inputs: jax.Array, scaling: Scaling) -> jax.Array:
    """float32 [B, ...] of a domain's inputs [B, ...]; uint8 images become 0 to 1 first."""
    x = inputs.astype(jnp.float32) / 255 if inputs.dtype == jnp.uint8 else inputs
    norm = {'none': lambda x: 1.0, 'l1': lambda x: jnp.sum(jnp.abs(x), -1, keepdims=True),
            'l2': lambda x: jnp.linalg.norm(x, axis=-1, keepdims=True)}[scaling.rows](x)
    x = x / jnp.maximum(norm, 1e-12)
    return (x - scaling.mean[None]) / scaling.scale[None]


def host_rows(inputs: Any, rows: str) -> Any:
    """normalise without mean and scale, on the host: float32 [n, ...] of inputs, a CSR array where they are one."""
    if not scipy.sparse.issparse(inputs):
        x = np.asarray(inputs)
        x = x.astype(np.float32) / np.float32(255 if x.dtype == np.uint8 else 1)
        norm = {'none': lambda: 1, 'l1': lambda: np.abs(x).sum(-1, keepdims=True), 'l2': lambda: np.linalg.norm(x, axis=-1, keepdims=True)}
        return x if rows == 'none' else x / np.maximum(norm[rows](), np.float32(1e-12))
    norm = {'none': lambda x: np.ones(len(x.indptr) - 1), 'l1': lambda x: abs(x).sum(1), 'l2': lambda x: np.sqrt(x.multiply(x).sum(1))}
    each = 1 / np.maximum(norm[rows](inputs), 1e-12)
    return type(inputs)((inputs.data * np.repeat(each, np.diff(inputs.indptr)).astype(np.float32), inputs.indices, inputs.indptr),
                        shape=inputs.shape)


def column_mean(x: Any) -> np.ndarray:
    """The mean [F] of host_rows' columns, in float64."""
    return np.asarray(x.mean(0, dtype=np.float64)).reshape(x.shape[1:])


def column_square(x: Any, centre: np.ndarray) -> np.ndarray:
    """The mean [F] of (x - centre)^2 of host_rows' columns, in float64."""
    if not scipy.sparse.issparse(x):
        return ((x - centre) ** 2).mean(0)
    x = x.astype(np.float64)
    return np.maximum(column_mean(x.multiply(x)) - 2 * centre * column_mean(x) + centre**2, 0)


def augment(images: jax.Array, keys: jax.Array, kind: str, pad: float = 0.125) -> jax.Array:
    """Images [B, H, W, C] shifted by up to `pad` of their size (edges repeated) and, for 'crop_flip', mirrored; one key an image [B]."""
    reach = max(1, round(pad * images.shape[1]))

    def one(image, key):
        of_shift, of_flip = jax.random.split(key)
        wide = jnp.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode='edge')
        top, left = jax.random.randint(of_shift, (2,), 0, 2 * reach + 1)
        crop = jax.lax.dynamic_slice(wide, (top, left, 0), image.shape)
        flip = jnp.where(jax.random.bernoulli(of_flip), crop[:, ::-1], crop)
        return flip if kind == 'crop_flip' else crop
    return jax.vmap(one)(images, keys)


def fit_scaling(domains: Sequence[Domain], *, rows: str, columns: str, mean: Sequence[float], std: Sequence[float]) -> Scaling:
    """The Scaling for these domains, which are the sources of a target (but see job.source_scaling).

    Images are scaled by mean and std of their channels. Features, where columns is 'standard', by the mean and standard deviation of every
    column over the domains, each domain with the same weight.
    """
    if domains[0].inputs.ndim == 4:
        return Scaling(mean=jnp.asarray([[mean]], jnp.float32), scale=jnp.asarray([[std]], jnp.float32))
    shape = domains[0].inputs.shape[1:]
    plain = Scaling(mean=jnp.zeros(shape, jnp.float32), scale=jnp.ones(shape, jnp.float32), rows=rows)
    if columns == 'none':
        return plain
    inputs = [host_rows(domain.inputs, rows) for domain in domains]
    centre = np.mean([column_mean(x) for x in inputs], 0)
    spread = np.sqrt(np.mean([column_square(x, centre) for x in inputs], 0))
    return plain.replace(mean=jnp.asarray(centre, jnp.float32), scale=jnp.asarray(np.where(spread > 1e-8, spread, 1), jnp.float32))
