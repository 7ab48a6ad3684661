"""The training loop: next batch, step, evaluate, save, until done or asked to stop; resumes where it was, bit for bit."""
import dataclasses
import json
import time

import numpy as np

from tqd_jax import config as rules
from tqd_jax.data.loader import iterate, make_batches
from tqd_jax.training.evaluation import validation_batches
from tqd_jax.training.log import DRAWN_BINS, Evaluations, Watch, save_timesteps
from tqd_jax.training.programs import compile_eval, compile_train
from tqd_jax.training.run import fresh_state
from tqd_jax.training.state import TrainState
from transfer_jax.runtime.checkpoint import Checkpoints
from transfer_jax.runtime.config import differences, to_json
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.metrics import Metrics
from transfer_jax.runtime.parallel.mesh import to_global
from transfer_jax.runtime.progress import Progress, StopRequest


@dataclasses.dataclass(frozen=True, kw_only=True)
class Start:
    """Where a run begins or goes on: its state, the updates done, and the histogram [4, DRAWN_BINS] of timesteps drawn so far."""
    state: TrainState
    step: int
    drawn: np.ndarray


def train(run):
    """Trains from the newest checkpoint to config.train.steps; returns (state, whether it was asked to stop before).

    Killed at any moment and started again, it ends with the same parameters bit for bit. Raises UserError on a config or library that
    differs from the checkpoint's, and on a loss that is not finite.
    """
    checkpoints = Checkpoints(run.workdir / 'checkpoints', keep=run.config.checkpoint.keep)
    start = restored(run, checkpoints)
    metrics = Metrics(run.workdir, start_step=start.step and start.step + 1)  # a start from nothing writes step 0 again
    try:
        state, drawn = _loop(run, start, checkpoints, metrics)
    finally:
        metrics.close()
    save_timesteps(run, drawn)
    return state, int(state.step) < run.config.train.steps


def _loop(run, start, checkpoints, metrics):
    config, state = run.config, start.state
    steps, evaluate = compile_train(run), compile_eval(run)
    evaluations = Evaluations(run, evaluate, validation_batches(run.library, run.loader, run.validation), metrics, start.step)
    if start.step == 0:
        evaluations.add(0, state.ema)
    watch = Watch(run=run, metrics=metrics, drawn=start.drawn, since=time.perf_counter())
    batches = _waited(iterate(make_batches(run.library, run.loader, run.training), start.step, config.train.steps,
                              workers=config.data.workers, prefetch=config.data.prefetch))
    with StopRequest() as stop, Progress(config.train.steps, start=start.step, label='train') as progress:
        for step, (arrays, waited) in enumerate(batches, start.step + 1):
            bucket = int(run.library.bucket[arrays['clip'][0]])
            state, outputs = steps[bucket](state, to_global(arrays, run.mesh))
            watch.add(step, bucket, outputs, waited)
            last = stop.requested or step == config.train.steps
            saves = last or step % config.checkpoint.every == 0
            progress.update(1, **(watch.flush() if saves or step % config.log_every == 0 else watch.shown))
            if step == config.train.steps or step % config.eval.every == 0:
                with watch.paused():
                    evaluations.add(step, state.ema)
            if saves:
                with watch.paused():
                    metrics.flush()
                    checkpoints.save(step, state, _extras(run, step, watch.drawn))
            if last:
                break
    return state, watch.drawn


def restored(run, checkpoints):
    """The Start of a run: its newest checkpoint, or a fresh state. Raises UserError as require_same does."""
    step = checkpoints.latest()
    if step is None:
        return Start(state=fresh_state(run), step=0, drawn=np.zeros((4, DRAWN_BINS), np.int64))
    extras = checkpoints.extras(step)
    require_same(run, extras)
    print(f'resuming from step {step}', flush=True)
    return Start(state=checkpoints.restore(step, run.abstract_state), step=extras['next_batch'], drawn=np.array(extras['drawn'], np.int64))


def require_same_config(workdir, config, extras):
    """Raises UserError where a checkpoint's config differs in a key that the numbers depend on."""
    keys = [key for key in rules.FREE if key != 'train.steps' or config.train.schedule == 'constant']  # a cosine is as long as the run
    free = lambda line: any(line.split(':')[0] == key or line.startswith(f'{key}.') for key in keys)
    changed = [line for line in differences(extras['config'], config) if not free(line)]
    if changed:
        raise UserError(f'{workdir} holds a run with another config ({"; ".join(changed[:5])}); '
                        'use another --workdir, or go back to its values')


def require_same(run, extras):
    """Raises UserError where a checkpoint belongs to another config or another library."""
    require_same_config(run.workdir, run.config, extras)
    if extras['library'] != run.fingerprint:
        raise UserError(f'{run.workdir} holds a run on another set of clips or scores; use another --workdir, or restore the clips')


def _waited(batches):
    """Pairs of a batch and the seconds that were spent waiting for it."""
    while True:
        asked = time.perf_counter()
        try:
            batch = next(batches)
        except StopIteration:
            return
        yield batch, time.perf_counter() - asked


def _extras(run, step, drawn):
    normaliser = run.workdir / 'normaliser.json'
    return {'next_batch': step, 'library': run.fingerprint, 'config': to_json(run.config), 'drawn': drawn.tolist(),
            'normaliser': json.loads(normaliser.read_text()) if normaliser.exists() else None}
