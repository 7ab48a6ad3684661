"""Gradients in one bucket of noise after the other, each kept when it is there: what was stopped goes on with the next."""
import contextlib
import hashlib
import json
import pathlib
import shutil

import jax
import jax.numpy as jnp

from transfer_jax.runtime.config import to_json
from transfer_jax.runtime.progress import Progress
from transfer_jax.runtime.store import Store

FOLDER = 'gradients'  # of a work directory, while a mode that asks for gradients is at work


def by_bucket(products, buckets, *, label, kept=None):
    """[products(bucket)], trees of numpy arrays, for every bucket of t; kept: the Store that has some of them and gets the others."""
    names, found = [f'bucket{bucket}' for bucket in range(buckets)], []
    known = {name for name in names if kept is not None and kept.record(name) is not None}
    with Progress(buckets, start=len(known), label=label, unit='bucket') as progress:
        for bucket, name in enumerate(names):
            if name in known:
                found.append(kept.load(name, jax.eval_shape(products, jnp.int32(bucket))))
                continue
            found.append(jax.device_get(products(jnp.int32(bucket))))
            if kept is not None:
                kept.save(name, found[-1], {})
            progress.update(1)
    return found


def kept_for(run, mode, params, clips):
    """The Store of a mode's buckets, for these weights, this config and these clips (rows) alone; several hosts keep none."""
    if jax.process_count() > 1:
        return None
    told = [to_json(run.config), run.library.ids[clips].tolist(), *jax.device_get(_sums(params))]
    return Store(run.workdir / FOLDER / mode / hashlib.sha256(json.dumps(told, default=float).encode()).hexdigest()[:16])


@jax.jit
def _sums(params):
    """What tells weights from others: the sum and the sum of squares of every leaf."""
    return [f(leaf.astype(jnp.float32)) for leaf in jax.tree.leaves(params) for f in (jnp.sum, lambda x: jnp.sum(x * x))]


def forget(workdir, mode):
    """Removes what a mode kept, once what it was for is written; what another mode was stopped in stays."""
    folder = pathlib.Path(workdir) / FOLDER
    shutil.rmtree(folder / mode, ignore_errors=True)
    with contextlib.suppress(OSError):  # another mode's are there, or none ever were
        folder.rmdir()
