"""From stored inputs to the inputs of a model: scaling of features and images, and the augmentation of images."""
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

ROWS = ('none', 'l1', 'l2')
COLUMNS = ('none', 'standard')
AUGMENT = ('none', 'crop', 'crop_flip')


@struct.dataclass
class Scaling:
    """inputs -> (inputs - mean) / scale, after every row of features was divided by its norm; mean and scale broadcast over examples."""
    mean: jax.Array
    scale: jax.Array
    rows: str = struct.field(pytree_node=False, default='none')


def normalise(inputs, scaling):
    """float32 [B, ...] of stored inputs [B, ...] (uint8 images count from 0 to 1)."""
    x = inputs.astype(jnp.float32) / 255 if inputs.dtype == jnp.uint8 else inputs
    norm = {'none': lambda x: 1.0, 'l1': lambda x: jnp.sum(jnp.abs(x), -1, keepdims=True),
            'l2': lambda x: jnp.linalg.norm(x, axis=-1, keepdims=True)}[scaling.rows](x)
    x = x / jnp.maximum(norm, 1e-12)
    return (x - scaling.mean[None]) / scaling.scale[None]


def augment(images, keys, kind, pad=0.125):
    """Images [B, H, W, C] shifted by up to `pad` of their size (edges repeated) and, for 'crop_flip', mirrored; one key an image [B]."""
    reach = max(1, round(pad * images.shape[1]))

    def one(image, key):
        of_shift, of_flip = jax.random.split(key)
        wide = jnp.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode='edge')
        top, left = jax.random.randint(of_shift, (2,), 0, 2 * reach + 1)
        moved = jax.lax.dynamic_slice(wide, (top, left, 0), image.shape)
        mirrored = jnp.where(jax.random.bernoulli(of_flip), moved[:, ::-1], moved)
        return mirrored if kind == 'crop_flip' else moved
    return jax.vmap(one)(images, keys)


def fit_scaling(domains, *, rows, columns, mean, std):
    """The Scaling for these domains (the sources: no target is looked at): images by mean and std of their channels as given, features by
    the sources' own mean and standard deviation of every column, each domain counting alike, where columns is 'standard'.
    """
    if domains[0].inputs.ndim == 4:
        return Scaling(mean=jnp.asarray([[mean]], jnp.float32), scale=jnp.asarray([[std]], jnp.float32))
    shape = domains[0].inputs.shape[1:]
    plain = Scaling(mean=jnp.zeros(shape, jnp.float32), scale=jnp.ones(shape, jnp.float32), rows=rows)
    if columns == 'none':
        return plain
    scaled = [np.asarray(normalise(jnp.asarray(domain.inputs), plain), np.float64) for domain in domains]
    centre = np.mean([x.mean(0) for x in scaled], 0)
    spread = np.sqrt(np.mean([((x - centre) ** 2).mean(0) for x in scaled], 0))
    return plain.replace(mean=jnp.asarray(centre, jnp.float32), scale=jnp.asarray(np.where(spread > 1e-8, spread, 1), jnp.float32))
