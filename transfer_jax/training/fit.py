"""fit: one named fit of many replicas, from its start or its checkpoint to its end; a controller may change the policy on the way."""
import dataclasses
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.metrics import Metrics
from transfer_jax.runtime.progress import Progress
from transfer_jax.training import step
from transfer_jax.training.policy import Policy

QUIET = 10.0  # seconds that a fit may take before it shows its progress


class Stopped(Exception):
    """The run was asked to stop, and has saved where it was."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fit:
    """What a fit of L replicas came to: parameters [L, ...], its last policy [L, D], and a record of plain values.

    The record: seconds of training, compilation and control; drawn, the samples drawn [L]; history, a list of {step, weights, quantities}
    of every decision [L, D]; loss, a list of (step, mean training loss over replicas).
    """
    params: Any
    policy: Policy
    record: dict


def fit(trainer, store, name, *, replicas, start, policy, scaling, plan, stop, controller=None, every=None, patience=60.0):
    """The Fit called `name`: from the store if it is done, else trained, and gone on with where its checkpoint stands.

    start: parameters [L, ...]; plan(policy) -> steps [L] as numpy; controller(params, policy, step) -> policy is asked every `every` steps,
    before the first too. stop.requested is looked at after every segment: then Stopped is raised, with all saved. patience: seconds between
    checkpoints. Raises UserError where the loss is not finite.
    """
    done = store.record(name)
    if done is not None:
        tree = store.load(name, {'params': jax.eval_shape(lambda: start), 'policy': jax.eval_shape(lambda: policy)})
        return Fit(params=jax.tree.map(jnp.asarray, tree['params']), policy=jax.tree.map(jnp.asarray, tree['policy']), record=done)
    work = _Work(trainer=trainer, store=store, name=name, replicas=replicas, start=start, scaling=scaling, plan=plan,
                 controller=controller, every=every)
    state, policy, record = work.begin(policy)
    saved = time.monotonic()
    with Metrics(store.directory / 'logs' / name, start_step=record['step'] + 1) as metrics:
        while record['step'] < max(record['steps']):
            state, policy, record = work.go_on(state, policy, record, metrics)
            if stop.requested or time.monotonic() - saved > patience:
                work.checkpoint(state, policy, record)
                saved = time.monotonic()
            if stop.requested:
                raise Stopped
    return work.finish(state, policy, record)


@dataclasses.dataclass(kw_only=True)
class _Work:
    """One fit at work; what changes is passed from hand to hand but for the progress shown."""
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
        """(state, policy, record) to go on from: of the newest checkpoint, or fresh."""
        state = jax.vmap(step.fresh)(jax.tree.map(jnp.copy, self.start))  # the state is donated, the start is not
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
        """One segment further, with the controller's decision before it where one is due."""
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
        ended = np.asarray(record['steps']) <= record['step']  # such a replica has stayed behind the others: it does not begin again
        steps = np.where(ended, record['steps'], np.maximum(self.plan(policy), record['step']))
        plain = {name: np.asarray(getattr(policy, name)).tolist() for name in ('weights', 'quantities')}
        noted = {'step': record['step'], **plain}
        return state, policy, {**record, 'steps': steps.tolist(), 'history': [*record['history'], noted],
                               'control_seconds': record['control_seconds'] + time.perf_counter() - began}

    def _first(self, policy):
        """Whether a segment of this many replicas runs for the first time in this process: its time is mostly the compiler's."""
        known, shape = self.trainer.compiled, policy.weights.shape
        first = shape not in known
        known.add(shape)
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
