"""The Loader of a run."""
import jax

from tqd_jax.data.loader import Loader


def loader_of(config, library, store, **options):
    """The Loader of this process's rows of the batches, whose clips a store gives."""
    return Loader(library=library, store=store, seed=config.seed, batch=config.train.batch, crop=config.data.crop,
                  process=jax.process_index(), processes=jax.process_count(), **options)
