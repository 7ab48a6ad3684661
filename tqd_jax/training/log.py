"""What a run writes while it trains: metrics, losses that must be finite, the timesteps drawn, evaluations."""
import contextlib
import dataclasses
import io
import json
import math
import time

import jax
import numpy as np

from tqd_jax.timesteps.density import mean_density
from tqd_jax.timesteps.quadrants import quadrant
from tqd_jax.training.evaluation import loss_scalars, loss_table
from tqd_jax.training.run import Run
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.metrics import Metrics, read_metrics

DRAWN_BINS = 40


@dataclasses.dataclass
class Watch:
    """What is written while training: metrics, evaluations, the histogram of drawn timesteps; the only mutable thing of a run."""
    run: Run
    metrics: Metrics
    drawn: np.ndarray
    since: float  # s, of time.perf_counter(): the steps that are not written yet began then
    shown: dict = dataclasses.field(default_factory=dict)
    pending: list = dataclasses.field(default_factory=list)
    waited: float = 0.0

    def add(self, step, bucket, outputs, waited):
        """Notes the outputs of one step; nothing is fetched from the devices yet.

        One step may run ahead of the one that is done: more would make the rate shown a fiction, and a request to stop slow.
        """
        if self.pending:
            jax.block_until_ready(self.pending[-1][2]['loss'])
        self.pending.append((step, bucket, outputs))
        self.waited += waited

    def flush(self):
        """Fetches, checks and writes what is pending; returns what the progress bar shows.

        Raises UserError at the first loss that is not finite.
        """
        rows = jax.device_get(self.pending)
        for step, bucket, outputs in rows:
            self._require_finite(step, bucket, outputs)
            self._count(outputs)
        now = time.perf_counter()
        scalars = {name: float(np.mean([outputs[name] for _, _, outputs in rows])) for name in ('loss', 'grad_norm')}
        scalars |= {'learning_rate': float(self.run.schedule(rows[-1][0] - 1)),
                    **throughput(len(rows) * self.run.config.train.batch, now - self.since, self.waited)}
        self.metrics.write(rows[-1][0], scalars)
        self.pending, self.waited, self.since = [], 0.0, now
        self.shown = {'loss': f'{scalars["loss"]:.4f}'}
        return self.shown

    @contextlib.contextmanager
    def paused(self):
        """While entered, time does not count as the steps': for evaluation and saving. First the step that is under way is waited for."""
        if self.pending:
            jax.block_until_ready(self.pending[-1][2]['loss'])
        began = time.perf_counter()
        yield
        self.since += time.perf_counter() - began

    def _count(self, outputs):
        kind = quadrant(self.run.library.mq[outputs['clip']], self.run.library.vq[outputs['clip']])
        np.add.at(self.drawn, (kind, np.minimum((outputs['t'] * DRAWN_BINS).astype(int), DRAWN_BINS - 1)), 1)

    def _require_finite(self, step, bucket, outputs):
        if np.isfinite(outputs['loss']) and np.isfinite(outputs['grad_norm']):
            return
        bad = ~np.isfinite(outputs['loss_per_example'])
        shape = self.run.library.buckets[bucket]
        where = sorted({f'[{math.floor(10 * t) / 10:.1f}, {math.floor(10 * t) / 10 + 0.1:.1f})' for t in outputs['t'][bad].tolist()})
        clips = [str(path) for path in self.run.library.paths[outputs['clip'][bad]][:3]]
        what = f'in noise buckets {", ".join(where)}, first clips {", ".join(clips)}' if bad.any() else 'in the gradient alone'
        raise UserError(f'the loss is not finite at step {step} (bucket {shape.width}x{shape.height}x{shape.frames}, {what}); '
                        'the last good checkpoint is kept: start again with a lower config.train.learning_rate in another --workdir')


def throughput(examples, seconds, waited):
    """Of steps on so many examples that took so many seconds, `waited` of them spent waiting for batches: their speed and that share."""
    return {'examples_per_second': examples / seconds, 'wait_share': waited / seconds}


def save_timesteps(run, drawn):
    """drawn.npz: counts [4, DRAWN_BINS] as drawn, and grid [G] with law_density [4, G], what the laws of each quadrant's clips say.

    law_density is the mean over the quadrant's training clips by how often they are drawn; NaN where there are none.
    """
    if jax.process_index() > 0:
        return
    grid = (np.arange(400) + 0.5) / 400
    kind, density = quadrant(run.library.mq, run.library.vq), np.full((4, grid.size), np.nan)
    for q in range(4):
        rows = run.training[(kind[run.training] == q) & (run.library.keep[run.training] > 0)]
        if rows.size:
            density[q] = mean_density(run.library.laws, rows, run.library.keep[rows], grid)
    file = io.BytesIO()
    np.savez(file, counts=drawn, grid=grid, law_density=density)
    write_atomically(run.workdir / 'drawn.npz', file.getvalue())


class Evaluations:
    """evaluation.jsonl: one line an evaluation, cut back to the step that a run resumes from."""

    def __init__(self, run, evaluate, batches, metrics, start):
        self._evaluate, self._batches, self._metrics = evaluate, batches, metrics
        self._path = run.workdir / 'evaluation.jsonl'
        self._writes = jax.process_index() == 0
        kept = [record for record in read_metrics(self._path) if start and record['step'] <= start]
        if self._writes:
            write_atomically(self._path, ''.join(json.dumps(record) + '\n' for record in kept).encode())

    def add(self, step, params):
        """Evaluates and writes one line; NaN (an empty quadrant) becomes null."""
        loss, count = loss_table(self._evaluate, params, self._batches)
        table = [[None if np.isnan(x) else float(x) for x in row] for row in loss]
        if self._writes:
            with open(self._path, 'a') as file:
                file.write(json.dumps({'step': step, 'loss': table, 'count': count.tolist()}) + '\n')
        self._metrics.write(step, loss_scalars(loss, count))
