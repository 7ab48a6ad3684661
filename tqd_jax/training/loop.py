"""The training loop: next batch, step, evaluate, save, until done or asked to stop; resumes where it was, bit for bit."""
import time

from tqd_jax.data.loader import iterate, make_batches
from tqd_jax.training.evaluation import validation_batches
from tqd_jax.training.log import Evaluations, TrainingLog, save_timesteps
from tqd_jax.training.programs import compile_eval, compile_train
from tqd_jax.training.resume import extras_of, start_of
from tqd_jax.training.sampling.samples import draw_during_training, samples_folder
from transfer_jax.runtime.checkpoint import Checkpoints
from transfer_jax.runtime.metrics import Metrics
from transfer_jax.runtime.parallel.mesh import to_global
from transfer_jax.runtime.parallel.votes import Votes
from transfer_jax.runtime.progress import Progress, Stopped, StopRequest


def train(run):
    """Trains from the newest checkpoint to config.train.steps; returns (state, frozen, whether a request stopped it before).

    Killed at any moment and started again, it ends with the same parameters bit for bit. Raises UserError on a config or library that
    differs from the checkpoint's, and on a loss that is not finite.
    """
    checkpoints = Checkpoints(run.workdir / 'checkpoints', keep=run.config.checkpoint.keep)
    start = start_of(run, checkpoints)
    metrics = Metrics(run.workdir, start_step=start.step and start.step + 1)  # a start from nothing writes step 0 again
    try:
        state, histogram = _loop(run, start, checkpoints, metrics)
    finally:
        metrics.close()
    save_timesteps(run.workdir, run.library, run.training, histogram, run.objective.t_range)
    return state, start.frozen, int(state.step) < run.config.train.steps


def _loop(run, start, checkpoints, metrics):
    config, state, frozen = run.config, start.state, start.frozen
    programs, evaluations = compile_train(run), _evaluations(run, start.step, metrics)
    log = TrainingLog(library=run.library, schedule=run.schedule, batch=config.train.batch, metrics=metrics,
                      histogram=start.histogram, start=time.perf_counter())
    votes = Votes(run.mesh)
    with StopRequest() as stop, Progress(config.train.steps, start=start.step, label='train') as progress:
        with log.paused():
            stopped = not _measured(run, evaluations, start.step, state, frozen, again=start.step > 0)  # at step 0 the model as it was
        if stopped:
            return state, log.histogram
        for step, (batch, wait) in enumerate(_timed(_batches(run, start.step)), start.step + 1):
            bucket = int(run.library.bucket[batch.clip[0]])
            state, outputs = programs[bucket](state, frozen, to_global(batch, run.mesh))
            log.add(step, bucket, outputs, wait)
            last = votes(stop.requested) or step == config.train.steps
            saves = last or step % config.checkpoint.every == 0
            progress.update(1, **(log.flush() if saves or step % config.log_every == 0 else log.summary))
            with log.paused():
                last = not _measured(run, evaluations, step, state, frozen) or last
            if last or saves:
                log.flush()
                with log.paused():
                    metrics.flush()
                    checkpoints.save(step, state, extras_of(run, step, log.histogram))
            if last:
                break
    return state, log.histogram


def _measured(run, evaluations, step, state, frozen, again=False):
    """Evaluates and draws what is due after a step; False where a request stopped it: the next start of the run makes up for it.

    again: the run goes on from this step, and what an earlier start did is there.
    """
    config = run.config
    try:
        if (step % config.eval.every == 0 or step == config.train.steps) and not (again and step in evaluations.steps):
            evaluations.add(step, (state.average, frozen))
        every = config.sample.every
        if every is not None and step % every == 0 and not (again and samples_folder(run.workdir, step).exists()):
            draw_during_training(run, step, state.average, frozen)
    except Stopped:
        return False
    return True


def _evaluations(run, step, metrics):
    batches = validation_batches(run.library, run.loader, run.validation)
    return Evaluations(run.workdir, compile_eval(run), batches, metrics, step, run.objective.t_range)


def _batches(run, step):
    """The Batches after so many steps to the last one."""
    data = run.config.data
    return iterate(make_batches(run.library, run.loader, run.training), step, run.config.train.steps, workers=data.workers,
                   prefetch=data.prefetch)


def _timed(batches):
    """Pairs of a batch and the seconds that the loop waited for it."""
    while True:
        start = time.perf_counter()
        try:
            batch = next(batches)
        except StopIteration:
            return
        yield batch, time.perf_counter() - start
