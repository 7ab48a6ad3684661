"""Samples of a checkpoint for the captions of rendered scenes, on whatever its run stands, stored seed by seed."""
import dataclasses
import hashlib
import time

import jax
import numpy as np

from benchmarks.samples.truth import scenes_of
from tqd_jax.data.buckets import Bucket
from tqd_jax.training.sampling.generate import decode, draw_latents, parts_of
from tqd_jax.training.weights import averaged_weights
from tqd_jax.training.workdir import probe_state
from transfer_jax.runtime.parallel.hosts import fetch
from transfer_jax.runtime.speed.kept import compiled_programs_kept
from transfer_jax.runtime.store import Store
from transfer_jax.runtime.tensors import named_leaves

BATCH = 32  # samples at once, where config.sample.batch is None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
    """A checkpoint to draw from: run, its average of trained weights, its frozen ones; step: of training in this folder, 0 before any.

    weights: a hash of both, so that samples of other weights are never taken for these.
    """
    run: object
    average: object
    frozen: object
    step: int
    weights: str


def open_model(config, workdir, captions):
    """The Model of the folder's newest checkpoint or, where there is none, of the weights that config starts from.

    captions: all that will be drawn: published weights encode them beforehand. Raises UserError as probe_state does.
    """
    sample = dataclasses.replace(config.sample, captions=tuple(sorted(set(captions))))
    run, state, frozen = probe_state(dataclasses.replace(config, sample=sample), workdir)
    weights = named_leaves(fetch(averaged_weights(state, frozen)))
    digest = hashlib.sha256(b''.join(name.encode() + np.ascontiguousarray(leaf).tobytes() for name, leaf in sorted(dict(weights).items())))
    return Model(run=run, average=state.average, frozen=frozen, step=int(state.step), weights=digest.hexdigest()[:16])


def shape_of(config):
    """(F, H, W) of samples: config.sample.shapes' first, or the first of config.data.buckets."""
    width, height, frames = (config.sample.shapes or config.data.buckets)[0]
    return frames, height, width


def samples_of(model, store, seed, count):
    """(frames uint8 [count, F, H, W, 3], captions, seconds it took) of one seed: from the Store, or drawn and put there."""
    frames, height, width = shape_of(model.run.config)
    captions = [scene.caption for _, scene in scenes_of(seed, count)]
    settings = {'captions': captions, 'sampling': dataclasses.asdict(model.run.foundation.sampling()), 'weights': model.weights,
                'shape': [frames, height, width]}
    name = f'seed-{seed}'
    record = store.record(name)
    if record is None or any(record[key] != value for key, value in settings.items()):
        start = time.perf_counter()
        clips = _draw(model, seed, captions, Bucket(width=width, height=height, frames=frames))
        record = settings | {'seconds': time.perf_counter() - start}
        store.save(name, {'frames': clips}, record)
    abstract = {'frames': jax.ShapeDtypeStruct((count, frames, height, width, 3), np.uint8)}
    return store.load(name, abstract)['frames'], captions, record['seconds']


def store_of(workdir):
    """The Store of a work directory's samples."""
    return Store(workdir / 'quality')


def _draw(model, seed, captions, bucket):
    """Frames uint8 [N, F, H, W, 3], from noise that depends on the seed and the row alone."""
    run = dataclasses.replace(model.run, config=dataclasses.replace(model.run.config, seed=seed))
    parts = parts_of([bucket] * len(captions), run.config.sample.batch or BATCH)
    with compiled_programs_kept(run.workdir / 'compiled'):
        drawn = draw_latents(run, model.average, model.frozen, captions, parts)
        latents = {}
        for (_, rows), some in zip(parts, drawn, strict=True):
            latents |= dict(zip(rows.tolist(), some, strict=True))  # what fills up a part is in it twice
        return np.stack(decode(run, [latents[row] for row in range(len(captions))]))
