"""What a run writes while it trains: metrics, losses that must be finite, the timesteps drawn, evaluations."""
import contextlib
import dataclasses
import io
import json
import math
from collections.abc import Callable

import jax
import numpy as np

from tqd_jax.data.library import Library
from tqd_jax.timesteps.density import mean_density
from tqd_jax.timesteps.quadrants import quadrant
from tqd_jax.training.evaluation import loss_record, loss_scalars, loss_table
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.metrics import Metrics, read_metrics
from transfer_jax.runtime.parallel.gather import of_first
from transfer_jax.runtime.speed.clock import Clock
from transfer_jax.runtime.speed.rates import rates

HISTOGRAM_BINS = 40


@dataclasses.dataclass
class TrainingLog:
    """Metrics and the histogram of drawn timesteps; the only mutable thing of a run.

    schedule: step -> learning rate. batch: examples of a step. histogram: int64 [4, HISTOGRAM_BINS] of t by quadrant. clock: of the run.
    flops: {bucket: FLOPs of a step}. saved: gives the last checkpoint's step, or None.
    devices, peak: how many, and FLOP/s of one, where that is known. summary: what the progress bar
    shows. queue: (step, bucket, outputs) of the steps that are not written yet. counted: the clock's seconds when these began.
    """
    library: Library
    schedule: Callable
    batch: int
    metrics: Metrics
    histogram: np.ndarray
    clock: Clock
    flops: dict
    saved: Callable = lambda: None
    devices: int = 1
    peak: float | None = None
    summary: dict = dataclasses.field(default_factory=dict)
    queue: list = dataclasses.field(default_factory=list)
    counted: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        self.clock.scalars()
        self.counted = dict(self.clock.seconds)

    def add(self, step, bucket, outputs):
        """Notes the outputs of one step; nothing is fetched from the devices yet.

        One step may run ahead of the one that is done: more would make the progress bar's rate a fiction, and a request to stop slow.
        """
        self._finish_step()
        self.queue.append((step, bucket, outputs))

    def flush(self):
        """Fetches, checks and writes the queue, if there is one; returns the summary.

        Raises UserError at the first loss that is not finite.
        """
        if not self.queue:
            return self.summary
        rows = jax.device_get(self.queue)
        for step, bucket, outputs in rows:
            if not is_finite(outputs):
                refuse_step(self.library, step, bucket, outputs, self.saved())
            self._count(outputs)
        last, times = rows[-1][0], self.clock.scalars()
        step, wait = (self.clock.seconds[kind] - self.counted[kind] for kind in ('step', 'wait'))
        scalars = {name: float(np.mean([outputs[name] for _, _, outputs in rows])) for name in ('loss', 'grad_norm')}
        scalars |= {'learning_rate': float(self.schedule(last - 1)), 'step_seconds': (step + wait) / len(rows),
                    **throughput(len(rows) * self.batch, step + wait, wait),
                    **rates(sum(self.flops[bucket] for _, bucket, _ in rows), step + wait, self.devices, self.peak), **times}
        self.metrics.write(last, scalars)
        self.queue, self.counted = [], dict(self.clock.seconds)
        self.summary = summary(scalars)
        return self.summary

    @contextlib.contextmanager
    def paused(self, kind):
        """While entered, time counts as `kind` of the clock and not as the steps'. The step under way is finished before."""
        self._finish_step()
        with self.clock.spent(kind):
            yield

    def _finish_step(self):
        if self.queue:
            jax.block_until_ready(self.queue[-1][2]['loss'])

    def _count(self, outputs):
        rows = quadrant(self.library.mq[outputs['clip']], self.library.vq[outputs['clip']])
        bins = np.minimum((outputs['t'] * HISTOGRAM_BINS).astype(int), HISTOGRAM_BINS - 1)
        np.add.at(self.histogram, (rows, bins), 1)


def is_finite(outputs):
    """Whether the loss of a step, and its gradient, are finite."""
    return np.isfinite(outputs['loss']) and np.isfinite(outputs['grad_norm'])


def refuse_step(library, step, bucket, outputs, saved):
    """Raises UserError, naming noise bins and clips, for a step that is not finite. saved: the last checkpoint's step, or None."""
    bad = ~np.isfinite(outputs['loss_per_example'])
    shape = library.buckets[bucket]
    bins = sorted({f'[{math.floor(10 * t) / 10:.1f}, {math.floor(10 * t) / 10 + 0.1:.1f})' for t in outputs['t'][bad].tolist()})
    clips = [str(path) for path in library.paths[outputs['clip'][bad]][:3]]
    where = f'in noise bins {", ".join(bins)}, first clips {", ".join(clips)}' if bad.any() else 'in the gradient alone'
    kept = 'nothing has been saved yet' if saved is None else f'the checkpoint of step {saved} is kept'
    raise UserError(f'the loss is not finite at step {step} (bucket {shape.width}x{shape.height}x{shape.frames}, {where}); '
                    f'{kept}: start again with a lower config.train.learning_rate in another --workdir')


def summary(scalars):
    """What the progress bar shows of a line of metrics."""
    shown = {'loss': f'{scalars["loss"]:.4f}', 'TFLOP/s': f'{scalars["tflops_per_device"]:.3g}'}
    if 'mfu' in scalars:
        shown['of peak'] = f'{scalars["mfu"]:.0%}'
    return shown | {'in steps': f'{scalars["goodput"]:.0%}'}


def throughput(examples, seconds, wait):
    """Of steps on so many examples that took so many seconds, `wait` of them waiting for batches: their speed, the share of waiting."""
    return {'examples_per_second': examples / seconds, 'wait_share': wait / seconds}


def save_timesteps(workdir, library, training, histogram, t_range=(0.0, 1.0)):
    """drawn.npz: counts [4, HISTOGRAM_BINS] as drawn, and grid [G] with law_density [4, G], the laws of each quadrant's clips.

    law_density is the mean over the quadrant's training clips by how often they are drawn, given that t lies in t_range; NaN where there
    are none.
    """
    if jax.process_index() > 0:
        return
    grid = (np.arange(400) + 0.5) / 400
    quadrants, density = quadrant(library.mq, library.vq), np.full((4, grid.size), np.nan)
    for q in range(4):
        rows = training[(quadrants[training] == q) & (library.acceptance[training] > 0)]
        if rows.size:
            density[q] = mean_density(library.laws, rows, library.acceptance[rows], grid, t_range)
    file = io.BytesIO()
    np.savez(file, counts=histogram, grid=grid, law_density=density)
    write_atomically(workdir / 'drawn.npz', file.getvalue())


class Evaluations:
    """evaluation.jsonl: one line an evaluation, cut back to the step that a run resumes from.

    evaluate, batches, t_range: as loss_table takes them. start: that step, 0 for a fresh run.
    """

    def __init__(self, workdir, evaluate, batches, metrics, start, t_range=(0.0, 1.0)):
        self._evaluate, self._batches, self._metrics, self._t_range = evaluate, batches, metrics, t_range
        self._path = workdir / 'evaluation.jsonl'
        self._writes = jax.process_index() == 0
        self._records = [record for record in read_metrics(self._path) if start and record['step'] <= start]
        self.steps = set(of_first([record['step'] for record in self._records]))  # that have a line
        if self._writes:
            self._write()

    def add(self, step, weights):
        """Evaluates (trained, frozen) parameters and writes one line, a loss_record."""
        loss, count = loss_table(self._evaluate, weights, self._batches, self._t_range)
        if self._writes:
            self._records.append(loss_record(step, loss, count))
            self._write()
        self.steps.add(step)
        self._metrics.write(step, loss_scalars(loss, count))

    def _write(self):
        """Writes the file anew: nothing can be appended to one in an object store."""
        write_atomically(self._path, ''.join(json.dumps(record) + '\n' for record in self._records).encode())
