"""The training loop: next batch, step, evaluate, save, until done or asked to stop; resumes where it was, bit for bit."""
import jax

from tqd_jax.data.loader import iterate, make_batches
from tqd_jax.training.evaluation import validation_batches
from tqd_jax.training.log import Evaluations, TrainingLog, save_timesteps
from tqd_jax.training.programs import compile_eval, compile_train, flops_of_steps
from tqd_jax.training.resume import extras_of, start_of
from tqd_jax.training.sampling.samples import draw_during_training, samples_folder
from transfer_jax.runtime.metrics import FILE, Metrics, read_metrics
from transfer_jax.runtime.parallel.gather import of_first
from transfer_jax.runtime.parallel.mesh import to_global
from transfer_jax.runtime.parallel.votes import Votes
from transfer_jax.runtime.progress import Progress, Stopped, StopRequest
from transfer_jax.runtime.saves.checkpoint import Checkpoints
from transfer_jax.runtime.speed.clock import Clock
from transfer_jax.runtime.speed.rates import peak
from transfer_jax.runtime.speed.trace import Trace


def train(run, *, examines=True):
    """Trains from the newest checkpoint to config.train.steps; returns (state, frozen, whether a request stopped it before).

    examines: whether it evaluates and draws samples on its way, as config.eval and config.sample say.
    Killed at any moment and started again, it ends with the same parameters bit for bit. Raises UserError on a config or library that
    differs from the checkpoint's, and on a loss that is not finite.
    """
    checkpoints = Checkpoints(run.folder / 'checkpoints', keep=run.config.checkpoint.keep)
    clock = Clock(read_metrics(run.folder / FILE), checkpoints.latest() or 0)
    with clock.spent('begin'):
        start = start_of(run, checkpoints)
    with Metrics(run.folder, start_step=start.step and start.step + 1) as metrics, checkpoints:  # from nothing: step 0 again
        state, histogram = _loop(run, start, checkpoints, metrics, clock, examines)
    save_timesteps(run.folder, run.library, run.training, histogram, run.objective.t_range)
    return state, start.frozen, int(state.step) < run.config.train.steps


def _loop(run, start, checkpoints, metrics, clock, examines):
    config, state, frozen = run.config, start.state, start.frozen
    with clock.spent('begin'):
        programs, evaluations = compile_train(run), _evaluations(run, start.step, metrics) if examines else None
    log = _log(run, start, metrics, clock, checkpoints)
    votes, trace = Votes(run.mesh), Trace(run.folder / 'profile', config.profile.steps)
    with StopRequest() as stop, Progress(config.train.steps, start=start.step, label=run.label, warms=True) as progress:
        with clock.spent('evaluate'):
            # at step 0 the model as it was
            stopped = examines and not _examined(run, start.step, state, frozen, evaluations, again=start.step > 0)
        if stopped:
            return state, log.histogram
        for step, batch in enumerate(_timed(_batches(run, start.step), clock), start.step + 1):
            trace.before(step, state)
            bucket, batch = int(run.library.bucket[batch.clip[0]]), to_global(batch, run.mesh)
            with jax.transfer_guard('disallow'), jax.profiler.StepTraceAnnotation('train', step_num=step):
                state, outputs = programs[bucket](state, frozen, batch)
                log.add(step, bucket, outputs)
            last = votes(stop.requested) or step == config.train.steps
            saves = last or step % config.checkpoint.every == 0
            progress.update(1, **(log.flush() if saves or step % config.log_every == 0 else log.summary))
            if examines and any(_due(run, step)):
                with log.paused('evaluate'):
                    last = not _examined(run, step, state, frozen, evaluations) or last
            if last or saves:
                log.flush()
                with log.paused('save'):
                    metrics.flush()
                    checkpoints.begin(step, state, extras_of(run, step, log.histogram))
            if last:
                trace.after(step, state)
                break
    return state, log.histogram


def _due(run, step):
    """(Whether an evaluation is due after a step, whether samples are)."""
    evaluation, samples = run.config.eval.every, run.config.sample.every
    return step % evaluation == 0 or step == run.config.train.steps, samples is not None and step % samples == 0


def _examined(run, step, state, frozen, evaluations, again=False):
    """Evaluates and draws what is due after a step; False where a request stopped it: the next start of the run makes up for it.

    again: the run goes on from this step, and what an earlier start did is there.
    """
    evaluates, draws = _due(run, step)
    try:
        if evaluates and not (again and step in evaluations.steps):
            evaluations.add(step, (state.average, frozen))
        if draws and not (again and of_first(samples_folder(run.folder, step).exists())):
            draw_during_training(run, step, state.average, frozen)
    except Stopped:
        return False
    return True


def _evaluations(run, step, metrics):
    batches = validation_batches(run.library, run.loader, run.validation)
    return Evaluations(run.folder, compile_eval(run), batches, metrics, step, run.objective.t_range)


def _log(run, start, metrics, clock, checkpoints):
    def saved():
        checkpoints.finish()  # what is being written
        return checkpoints.latest()

    return TrainingLog(library=run.library, schedule=run.schedule, batch=run.config.train.batch, metrics=metrics,
                       histogram=start.histogram, clock=clock, flops=flops_of_steps(run), saved=saved, devices=run.mesh.size,
                       peak=peak(run.mesh.devices.flat[0]))


def _batches(run, step):
    """The Batches after so many steps to the last one."""
    data = run.config.data
    return iterate(make_batches(run.library, run.loader, run.training), step, run.config.train.steps, workers=data.workers,
                   prefetch=data.prefetch)


def _timed(batches, clock):
    """The batches; the clock counts the waiting for them."""
    while True:
        with clock.spent('wait'):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch
