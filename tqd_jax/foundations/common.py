"""What both foundations make alike: the Loader of a run, and the flow shift of its buckets."""
import dataclasses
import math

from tqd_jax.data.loader import Loader
from tqd_jax.timesteps.shift import token_shift
from transfer_jax.runtime.parallel.mesh import local_rows


def loader_of(config, mesh, library, store, **options):
    """The Loader of the rows of a batch that lie on this process's devices of a mesh; a store gives their clips."""
    return Loader(library=library, store=store, seed=config.seed, batch=config.train.batch, crop=config.data.crop,
                  part=local_rows(config.train.batch, mesh), **options)


def with_shifts(library, law, codec, model):
    """The Library with the flow shift of every bucket that config.law.shift_by_tokens gives; as it is where that is None."""
    if law.shift_by_tokens is None:
        return library
    shape = lambda bucket: codec.latent_shape(bucket.frames, bucket.height, bucket.width)
    tokens = [math.prod(model.grid(*shape(bucket)[:3])) for bucket in library.buckets]
    return dataclasses.replace(library, shifts=tuple(token_shift(count, *law.shift_by_tokens) for count in tokens))
