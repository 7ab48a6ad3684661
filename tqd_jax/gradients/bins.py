"""Gradients in one noise bin after the other, each stored when it is done: a stopped program goes on with the next."""
import contextlib
import hashlib
import json

import jax
import jax.numpy as jnp

from transfer_jax.runtime.config import to_json
from transfer_jax.runtime.parallel.stops import check_stop
from transfer_jax.runtime.paths import path_of, remove_folder
from transfer_jax.runtime.progress import Progress
from transfer_jax.runtime.store import Store

FOLDER = 'gradients'  # of a work directory, while a mode that computes gradients is at work


def products_by_bin(products, bins, *, label, store=None):
    """[products(noise bin)], trees of numpy arrays, for every noise bin; store: the Store that has some of them and gets the others.

    Raises Stopped where a stop is requested between two bins.
    """
    names, results = [f'bin{number}' for number in range(bins)], []
    done = {name for name in names if store is not None and store.record(name) is not None}
    with Progress(bins, start=len(done), label=label, unit='bin') as progress:
        for number, name in enumerate(names):
            check_stop()
            if name in done:
                results.append(store.load(name, jax.eval_shape(products, jnp.int32(number))))
                continue
            results.append(jax.device_get(products(jnp.int32(number))))
            if store is not None:
                store.save(name, results[-1], {})
            progress.update(1)
    return results


def bin_store(run, mode, weights, clips):
    """The Store of a mode's noise bins, for these weights, this config and these clips (rows) alone; None with several hosts."""
    if jax.process_count() > 1:
        return None
    identity = [to_json(run.config), run.library.ids[clips].tolist(), *jax.device_get(_checksums(weights))]
    return Store(run.workdir / FOLDER / mode / hashlib.sha256(json.dumps(identity, default=float).encode()).hexdigest()[:16])


@jax.jit
def _checksums(weights):
    """The sum and the sum of squares of every leaf: other weights have others."""
    return [f(leaf.astype(jnp.float32)) for leaf in jax.tree.leaves(weights) for f in (jnp.sum, lambda x: jnp.sum(x * x))]


def remove_store(workdir, mode):
    """Removes the noise bins of a mode, once its result is written; those of a mode that was stopped stay."""
    folder = path_of(workdir) / FOLDER
    remove_folder(folder / mode)
    with contextlib.suppress(OSError, ValueError):  # another mode's are there, or there were none
        folder.rmdir()
