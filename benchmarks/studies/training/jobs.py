"""Runs in groups, each run saved by itself: a study that was stopped or killed goes on with the runs that are missing."""
import concurrent.futures
import dataclasses
import json
import math
import shutil
import time
import zlib

import jax
import numpy as np

from benchmarks.studies.training.weights import load_weights, save_weights
from tqd_jax.training.state import LAYOUT, require_layout
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.cores import cores
from transfer_jax.runtime.progress import Stopped

SAVE_EVERY = 60.0  # seconds between two checkpoints of a group
SAVED_SAMPLES = 8  # of every run


def run_all(study, rows, material, evaluate, stop, progress):
    """Trains and measures every row that has no record yet, in groups; rows of one call have one regime and one `follow`.

    material: of all plans. evaluate(frames uint8 [S, F, H, W, 3]) -> {measure: number} of the samples of one run. Raises Stopped, and
    UserError where a loss is not finite.
    """
    missing = [row for row in rows if study.store.record(row.name) is None]
    begun = _unfinished(study, rows, missing)
    fresh = [row for row in missing if not any(row in group for group in begun)]
    for group in [*begun, *study.groups(fresh)]:
        _train(study, group, material, evaluate, stop, progress)


def _unfinished(study, rows, missing):
    """Groups that have a checkpoint, of rows of which one is missing: they go on as they are, whatever other rows there are."""
    by_name, groups = {row.name: row for row in rows}, []
    for path in sorted(study.store.directory.glob('group*.unfinished')):
        checkpoints = study.store.checkpoints(path.stem)
        latest = checkpoints.latest()
        extras = {'rows': (), 'replicas': 0} if latest is None else checkpoints.extras(latest)
        group = [by_name[name] for name in extras['rows'] if name in by_name]
        fits = len(group) == len(extras['rows']) and len(_pad(study, group)) == extras['replicas']
        if fits and set(missing) & set(group) and not any(set(other) & set(group) for other in groups):
            groups.append(group)
    return groups


def _pad(study, group):
    return group + group[:1] * (-len(group) % len(study.devices))


def _name(group):
    return f'group{zlib.crc32(json.dumps([row.name for row in group]).encode()):08x}'


def _train(study, group, material, evaluate, stop, progress):
    """One group from its start or checkpoint to its end: a record for each of its rows."""
    size, steps = study.size, getattr(study.size, group[0].regime)
    padded = _pad(study, group)
    runs = study.runs([row.plan for row in padded], [f'{row.regime} {row.seed}' for row in padded])
    checkpoints, todo = study.store.checkpoints(_name(group)), sum(study.store.record(row.name) is None for row in group)
    carry, step, curve = _start(study, padded, runs, checkpoints)
    if step:
        progress.skip(step * todo)
    saved = began = time.monotonic()
    while step < steps:
        carry, loss = study.trainer.advance(material, carry, runs)
        step += size.every
        point, frames = _point(study, group, step, carry, loss, runs, evaluate, last=step == steps)
        curve.append(point | {'seconds': (time.monotonic() - began) / len(group)})
        began = time.monotonic()
        progress.update(size.every * todo, at=f'{group[0].name}{" ..." if len(group) > 1 else ""}', loss=f'{np.mean(loss):.4f}')
        if step < steps and (stop.requested or time.monotonic() - saved > SAVE_EVERY):
            checkpoints.save(step, carry, {'layout': LAYOUT, 'curve': curve, 'rows': [row.name for row in group], 'replicas': len(padded)})
            saved = began = time.monotonic()
        if step < steps and stop.requested:
            raise Stopped
    _save_records(study, group, curve, frames, np.asarray(carry.t_histogram))
    shutil.rmtree(checkpoints.directory, ignore_errors=True)
    if stop.requested:
        raise Stopped


def _start(study, padded, runs, checkpoints):
    """(carry, step, curve) of a group: from its checkpoint, from pre-trained weights, or from fresh ones."""
    step = checkpoints.latest()
    if step is not None and checkpoints.extras(step)['replicas'] != len(padded):  # of another number of devices
        shutil.rmtree(checkpoints.directory)
        step = None
    if step is None:
        return study.trainer.start(_first(study, padded, runs)), 0, []
    require_layout(checkpoints.directory, checkpoints.extras(step))
    abstract = jax.eval_shape(lambda: study.trainer.start(study.trainer.init(runs.seed)))
    sharding = runs.seed.sharding
    abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), abstract)
    return checkpoints.restore(step, abstract), step, checkpoints.extras(step)['curve']


def _first(study, padded, runs):
    if padded[0].regime != 'finetune':
        return study.trainer.init(runs.seed)
    own = {seed: load_weights(study, seed, study.size.pretrain) for seed in {row.seed for row in padded}}
    return study.shard(jax.tree.map(lambda *leaves: np.stack(leaves), *(own[row.seed] for row in padded)))


def _point(study, group, step, carry, loss, runs, evaluate, last):
    """(a point of the group's curves, samples or None): training and validation loss, and measures where samples are drawn."""
    loss, average = np.asarray(loss), carry.state.average
    if not np.isfinite(loss[:len(group)]).all():
        worst = group[int(np.argmax(~np.isfinite(loss[:len(group)])))]
        raise UserError(f'the loss of {worst.name} is not finite at step {step}; lower config.sizes.NAME.learning_rate = '
                        f'{study.size.learning_rate} of this size')
    point, frames = {'step': step, 'train': loss.tolist(), 'loss': golden_loss(study, average).tolist()}, None
    if group[0].regime == 'pretrain':
        for number, row in enumerate(group):
            save_weights(study, row.seed, step, jax.tree.map(lambda x, i=number: x[i], jax.device_get(average)))
    if last or group[0].follow:
        frames = np.asarray(study.trainer.draw(study.held_out.tokens[:study.size.samples], average, runs.seed))[:len(group)]
        with concurrent.futures.ThreadPoolExecutor(cores()) as pool:
            point['measures'] = [finite(measures) for measures in pool.map(evaluate, frames)]
    return point, frames


def golden_loss(study, params):
    """Loss [R, NOISE_BINS] of R runs' weights on held-out golden clips, by noise bin."""
    held_out, count = study.held_out, study.size.held_out
    places = ((np.arange(count) + 0.5) / count).astype(np.float32)
    return np.asarray(study.trainer.validate(held_out.frames[:count], held_out.tokens[:count], places, params))


def _save_records(study, group, curve, frames, t_histogram):
    """A record for every row, with a few of its samples."""
    for number, row in enumerate(group):
        own = [{key: value[number] if isinstance(value, list) else value for key, value in point.items()} for point in curve]
        seconds = sum(point['seconds'] for point in own)
        record = dataclasses.asdict(row) | {'curve': own, 't_histogram': t_histogram[number].tolist(), 'seconds': seconds}
        study.store.save(row.name, {'samples': frames[number, :SAVED_SAMPLES]}, record)


def finite(measures):
    """Plain floats, None for what is not finite: JSON has no NaN."""
    return {name: float(value) if math.isfinite(value) else None for name, value in measures.items()}
