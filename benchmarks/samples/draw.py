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
    """(frames uint8 [count, F, H, W, 3], captions, seconds it took) of one seed: part by part, from the Store or drawn and put there."""
    frames, height, width = shape_of(model.run.config)
    captions = [scene.caption for _, scene in scenes_of(seed, count)]
    run = dataclasses.replace(model.run, config=dataclasses.replace(model.run.config, seed=seed))  # noise is of the seed and the row
    clips, seconds = {}, 0.0
    parts = parts_of([Bucket(width=width, height=height, frames=frames)] * count, run.config.sample.batch or BATCH)
    for number, part in enumerate(parts):
        some, took = _stored(dataclasses.replace(model, run=run), store, f'seed-{seed}-{number}', captions, part)
        clips |= dict(zip(part[1].tolist(), some, strict=True))  # what fills up a part is in it twice
        seconds += took
    return np.stack([clips[row] for row in range(count)]), captions, seconds


def store_of(workdir):
    """The Store of a work directory's samples."""
    return Store(workdir / 'quality')


def _stored(model, store, name, captions, part):
    """(frames, seconds) of a part of a seed's samples: those of the Store where they are of these weights and settings, or new ones."""
    bucket, rows = part
    shape = (len(rows), bucket.frames, bucket.height, bucket.width, 3)
    settings = {'captions': [captions[row] for row in rows], 'sampling': dataclasses.asdict(model.run.foundation.sampling()),
                'negative': model.run.foundation.negative(), 'weights': model.weights, 'shape': list(shape)}
    record = store.record(name)
    if record is None or any(record.get(key) != value for key, value in settings.items()):
        start = time.perf_counter()
        with compiled_programs_kept(model.run.workdir / 'compiled'):
            latents, = draw_latents(model.run, model.average, model.frozen, captions, [part])
            frames = np.stack(decode(model.run, list(latents)))
        record = settings | {'seconds': time.perf_counter() - start}
        store.save(name, {'frames': frames}, record)
    return store.load(name, {'frames': jax.ShapeDtypeStruct(shape, np.uint8)})['frames'], record['seconds']
