"""fit: one named fit of many replicas, from its start or its checkpoint to its end; a controller may change the policy during the fit."""
import dataclasses
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from transfer_jax.experiment.training import step
from transfer_jax.experiment.training.policy import Policy
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.metrics import Metrics
from transfer_jax.runtime.progress import Progress

QUIET = 10.0  # seconds of a fit before its progress bar appears


class Stopped(Exception):
    """The run stopped on request; its state is saved."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fit:
    """The result of a fit of L replicas: parameters [L, ...], its last policy [L, D], and a record of plain values.

    The record: seconds of training, compilation and control; drawn, the samples drawn [L]; history, a list of {step, weights, quantities}
    of every decision [L, D]; loss, a list of (step, mean training loss over replicas).
    """
    params: Any
    policy: Policy
    record: dict


def fit(trainer, store, name, *, replicas, start, policy, scaling, plan, stop, controller=None, every=None, patience=60.0):
    """The Fit called `name`: loaded from the store if it is finished, else trained from its newest checkpoint or from the start.

    start: parameters [L, ...]; plan(policy) -> steps [L] as numpy; controller(params, policy, step) -> policy is called every
    `every` steps, and before the first. stop.requested is checked after every segment: if it is set, the state is saved and Stopped is
    raised. patience: seconds between checkpoints. Raises UserError where the loss is not finite.
    """
    final_record = store.record(name)
    if final_record is not None:
        tree = store.load(name, {'params': jax.eval_shape(lambda: start), 'policy': jax.eval_shape(lambda: policy)})
        return Fit(params=jax.tree.map(jnp.asarray, tree['params']), policy=jax.tree.map(jnp.asarray, tree['policy']), record=final_record)
    work = _Work(trainer=trainer, store=store, name=name, replicas=replicas, start=start, scaling=scaling, plan=plan,
                 controller=controller, every=every)
    state, policy, record = work.begin(policy)
    save_time = time.monotonic()
    with Metrics(store.directory / 'logs' / name, start_step=record['step'] + 1) as metrics:
        while record['step'] < max(record['steps']):
            state, policy, record = work.go_on(state, policy, record, metrics)
            if stop.requested or time.monotonic() - save_time > patience:
                work.checkpoint(state, policy, record)
                save_time = time.monotonic()
            if stop.requested:
                raise Stopped
    return work.finish(state, policy, record)


@dataclasses.dataclass(kw_only=True)
class _Work:
    """The constants of one fit in training. Its state, policy and record are arguments and results; only the progress bar is stored."""
    trainer: Any
    store: Any
    name: str
    replicas: Any
    start: Any
    scaling: Any
    plan: Any
    controller: Any
    every: int | None
    progress: Progress | None = None
    since: float = dataclasses.field(default_factory=time.monotonic)

    def begin(self, policy):
        """(state, policy, record) of the newest checkpoint, or of step 0."""
        state = jax.vmap(step.fresh)(jax.tree.map(jnp.copy, self.start))  # a copy: the buffers of the state are donated to the program
        record = {'step': 0, 'steps': self.plan(policy).tolist(), 'drawn': [0] * len(self.replicas.seed), 'history': [], 'loss': [],
                  'seconds': 0.0, 'compile_seconds': 0.0, 'control_seconds': 0.0}
        checkpoints = self.store.checkpoints(self.name)
        latest = checkpoints.latest()
        if latest is None:
            return state, policy, record
        abstract = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), (state, policy))
        state, policy = checkpoints.restore(latest, abstract)
        return state, policy, checkpoints.extras(latest)

    def go_on(self, state, policy, record, metrics):
        """Trains one segment, after the controller's decision if one is due."""
        if self.controller is not None and record['step'] % self.every == 0:
            state, policy, record = self._decide(state, policy, record)
        began = time.perf_counter()
        steps = jnp.asarray(record['steps'], jnp.int32)
        state, loss = self.trainer.advance(state, self.start, self.replicas, policy, steps, self.scaling, record['step'])
        loss = np.asarray(loss)
        segment = self.trainer.settings.segment
        active = np.clip(np.asarray(record['steps']) - record['step'], 0, segment)
        kind = 'compile_seconds' if self._first(policy) else 'seconds'
        record = {**record, kind: record[kind] + time.perf_counter() - began, 'step': record['step'] + segment,
                  'drawn': (np.asarray(record['drawn']) + active * self.trainer.settings.batch).tolist(),
                  'loss': [*record['loss'], (record['step'] + segment, float(loss.mean()))]}
        if not np.isfinite(loss).all():
            raise UserError(f'fit {self.name}: the loss of replica {int(np.argmin(np.isfinite(loss)))} is not finite at step '
                            f'{record["step"]}; lower config.train.learning_rate, or look for extreme features')
        metrics.write(record['step'], {'loss': loss.mean(), 'samples': np.mean(record['drawn'])})
        self._show(record, loss)
        return state, policy, record

    def _decide(self, state, policy, record):
        began = time.perf_counter()
        policy = jax.tree.map(jnp.asarray, self.controller(state.params, policy, record['step']))
        finished = np.asarray(record['steps']) <= record['step']  # a replica that has done its steps is not trained again
        steps = np.where(finished, record['steps'], np.maximum(self.plan(policy), record['step']))
        plain = {name: np.asarray(getattr(policy, name)).tolist() for name in ('weights', 'quantities')}
        decision = {'step': record['step'], **plain}
        return state, policy, {**record, 'steps': steps.tolist(), 'history': [*record['history'], decision],
                               'control_seconds': record['control_seconds'] + time.perf_counter() - began}

    def _first(self, policy):
        """Whether this process runs a segment of this shape for the first time: most of its time is compilation."""
        compiled_shapes, shape = self.trainer.compiled_shapes, policy.weights.shape
        first = shape not in compiled_shapes
        compiled_shapes.add(shape)
        return first

    def _show(self, record, loss):
        if self.progress is None and time.monotonic() - self.since > QUIET:
            self.progress = Progress(max(record['steps']), start=record['step'], label=self.name)
        elif self.progress is not None:
            self.progress.update(self.trainer.settings.segment, loss=f'{loss.mean():.3f}')

    def checkpoint(self, state, policy, record):
        self.store.checkpoints(self.name).save(record['step'], (state, policy), record)

    def finish(self, state, policy, record):
        if self.progress is not None:
            self.progress.close()
        self.store.save(self.name, {'params': state.params, 'policy': policy}, record)
        return Fit(params=state.params, policy=policy, record=record)
