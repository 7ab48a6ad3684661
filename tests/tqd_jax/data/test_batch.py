"""The one place that says what a batch is."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tqd_jax.data.batch import Batch, batch_spec, uniform_batch
from tqd_jax.data.buckets import Bucket
from tqd_jax.latents.pixels import PixelCodec
from tqd_jax.text.words import HashedWords
from transfer_jax.runtime.parallel.mesh import batch_sharding, make_mesh

BUCKET, WORDS = Bucket(width=16, height=8, frames=4), HashedWords(length=5, vocab=9)


class Half(PixelCodec):
    """Latents of half the size, with 7 channels."""

    def latent_shape(self, frames, height, width):
        return frames, height // 2, width // 2, 7


@pytest.mark.parametrize(('latents', 'shape', 'dtype'), [(False, (4, 8, 16, 3), np.uint8), (True, (4, 4, 8, 7), np.float32)])
def test_shapes_dtypes_and_shardings(latents, shape, dtype):
    sharding = batch_sharding(make_mesh())
    spec = batch_spec(6, BUCKET, Half(), WORDS, sharding, latents=latents)
    assert (spec.video.shape, spec.video.dtype) == ((6, *shape), dtype)
    assert (spec.text.shape, spec.text.dtype) == ((6, 5), np.int32)
    assert all(leaf.shape[0] == 6 and leaf.sharding == sharding for leaf in jax.tree.leaves(spec))
    types = {name: getattr(spec, name).dtype for name in ('example', 'clip', 'weight')}
    assert types == {'example': np.uint32, 'clip': np.int32, 'weight': np.float32}
    scalars = dict.fromkeys(('alpha', 'beta', 'floor', 'loc', 'scale', 'shift'), (6,))
    assert {name: leaf.shape for name, leaf in vars(spec.law).items()} == {**scalars, 'table': (6, 121)}
    assert {leaf.dtype for leaf in jax.tree.leaves(spec.law)} == {np.dtype(np.float32)}


def test_a_batch_goes_through_jit_and_its_rows_are_a_batch():
    batch = uniform_batch(np.zeros((6, 4, 8, 16, 3), np.uint8), np.zeros((6, 5), np.int32))
    shapes = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype), tree)
    assert shapes(batch) == shapes(batch_spec(6, BUCKET, PixelCodec(), WORDS))
    some = jax.jit(lambda batch, rows: jax.tree.map(lambda x: x[rows], batch))(batch, jnp.array([4, 1]))
    assert isinstance(some, Batch) and some.example.tolist() == [4, 1] and some.law.alpha.shape == (2,)
