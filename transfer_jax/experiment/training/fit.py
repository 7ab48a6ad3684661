"""fit: one named fit of many replicas, from its start or its checkpoint on; a controller may change the policy during the fit."""
import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from transfer_jax.experiment.training import step
from transfer_jax.experiment.training.draws import Replicas
from transfer_jax.experiment.training.policy import Policy, same_policy
from transfer_jax.experiment.training.prepare import Scaling
from transfer_jax.experiment.training.trainer import Trainer
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.metrics import Metrics
from transfer_jax.runtime.progress import Progress, Stopped
from transfer_jax.runtime.store import Store

QUIET = 10.0  # seconds until the progress bar of a fit appears


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fit:
    """The result of a fit of L replicas: parameters [L, ...], its last policy [L, D], and a record of plain values.

    The record: seconds of training, compilation and control; drawn, the samples drawn [L]; history, a list of {step, weights, quantities}
    of every decision [L, D]; loss, a list of (step, mean training loss over replicas).
    """
    params: Any
    policy: Policy
    record: dict


def fit(trainer: Trainer, store: Store, name: str, *, replicas: Replicas, start: Any, policy: Policy, scaling: Scaling,
        plan: Callable[[Policy], np.ndarray], stop: Any, controller: Callable[[Any, Policy, int], Policy] | None = None,
        every: int | None = None, patience: float = 60.0) -> Fit:
    """The Fit called `name`: loaded from the store if it is finished, else trained from its newest checkpoint or from the start.

    A finished fit of another policy, as an earlier version may have left it by this name, is trained again, and checkpoints of one are
    deleted (is_of).
    start: parameters [L, ...]; plan(policy) -> steps [L] as numpy; controller(params, policy, step) -> policy is called every
    `every` steps, and before the first. stop.requested is checked after every segment: if it is set, the state is saved and Stopped is
    raised. patience: seconds between checkpoints. Raises UserError where the loss is not finite.
    """
    final_record = store.record(name)
    if final_record is not None:
        tree = store.load(name, {'params': jax.eval_shape(lambda: start), 'policy': jax.eval_shape(lambda: policy)})
        if is_of(tree['policy'], final_record, policy, controller):
            return Fit(params=jax.tree.map(jnp.asarray, tree['params']), policy=jax.tree.map(jnp.asarray, tree['policy']),
                       record=final_record)
    work = _Training(trainer=trainer, store=store, name=name, replicas=replicas, start=start, scaling=scaling, plan=plan,
                     controller=controller, every=every)
    state, policy, record = work.begin(policy)
    save_time = time.monotonic()
    with Metrics(store.directory / 'logs' / name, start_step=record['step'] + 1, shared=False) as metrics:
        while record['step'] < max(record['steps']):
            state, policy, record = work.go_on(state, policy, record, metrics)
            if stop.requested or time.monotonic() - save_time > patience:
                metrics.flush()
                work.checkpoint(state, policy, record)
                save_time = time.monotonic()
            if stop.requested:
                raise Stopped
    return work.finish(state, policy, record)


def is_of(stored: Policy, record: Mapping[str, Any], policy: Policy, controller: Callable[..., Policy] | None) -> bool:
    """Whether a fit, its last policy and record, is one of this policy; one whose policy a controller decides always is."""
    return controller is not None or (not record['history'] and same_policy(stored, policy))


@dataclasses.dataclass(kw_only=True)
class _Training:
    """The constants of one fit in training. Its state, policy and record are arguments and results; only the progress bar is stored."""
    trainer: Trainer
    store: Store
    name: str
    replicas: Replicas
    start: Any
    scaling: Scaling
    plan: Callable[[Policy], np.ndarray]
    controller: Callable[[Any, Policy, int], Policy] | None
    every: int | None
    progress: Progress | None = None
    since: float = dataclasses.field(default_factory=time.monotonic)

    def begin(self, policy: Policy) -> tuple[step.State, Policy, dict]:
        """(state, policy, record) of the newest checkpoint, or of step 0, also where the checkpoint is of another policy."""
        state = jax.vmap(step.first_state)(jax.tree.map(jnp.copy, self.start))  # a copy: the program takes over the state's buffers
        record = {'step': 0, 'steps': self.plan(policy).tolist(), 'drawn': [0] * len(self.replicas.seed), 'history': [], 'loss': [],
                  'seconds': 0.0, 'compile_seconds': 0.0, 'control_seconds': 0.0}
        checkpoints = self.store.checkpoints(self.name)
        latest = checkpoints.latest()
        if latest is None:
            return state, policy, record
        abstract = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), (state, policy))
        restored, of = checkpoints.restore(latest, abstract)
        extras = checkpoints.extras(latest)
        if is_of(of, extras, policy, self.controller):
            return restored, of, extras
        self.store.drop_checkpoints(self.name)
        return state, policy, record

    def go_on(self, state: step.State, policy: Policy, record: dict, metrics: Metrics) -> tuple[step.State, Policy, dict]:
        """Trains one segment, after the controller's decision if one is due."""
        if self.controller is not None and record['step'] % self.every == 0:
            state, policy, record = self._decide(state, policy, record)
        began = time.perf_counter()
        steps = jnp.asarray(record['steps'], jnp.int32)
        state, loss = self.trainer.advance(state, self.start, self.replicas, policy, steps, self.scaling, record['step'])
        loss = np.asarray(loss)
        segment = self.trainer.settings.segment
        active = np.clip(np.asarray(record['steps']) - record['step'], 0, segment)
        kind = 'compile_seconds' if self._is_first(policy) else 'seconds'
        record = {**record, kind: record[kind] + time.perf_counter() - began, 'step': record['step'] + segment,
                  'drawn': (np.asarray(record['drawn']) + active * self.trainer.settings.batch).tolist(),
                  'loss': [*record['loss'], (record['step'] + segment, float(loss.mean()))]}
        if not np.isfinite(loss).all():
            raise UserError(f'fit {self.name}: the loss of replica {int(np.argmin(np.isfinite(loss)))} is not finite at step '
                            f'{record["step"]}; lower config.train.learning_rate, or look for extreme features')
        metrics.write(record['step'], {'loss': loss.mean(), 'samples': np.mean(record['drawn'])})
        self._update_progress(record, loss)
        return state, policy, record

    def _decide(self, state, policy, record):
        began = time.perf_counter()
        policy = jax.tree.map(jnp.asarray, self.controller(state.trained, policy, record['step']))
        at_end = np.asarray(record['steps']) <= record['step']  # such a replica is not trained again
        steps = np.where(at_end, record['steps'], np.maximum(self.plan(policy), record['step']))
        plain = {name: np.asarray(getattr(policy, name)).tolist() for name in ('weights', 'quantities')}
        decision = {'step': record['step'], **plain}
        return state, policy, {**record, 'steps': steps.tolist(), 'history': [*record['history'], decision],
                               'control_seconds': record['control_seconds'] + time.perf_counter() - began}

    def _is_first(self, policy):
        """Whether this process runs a segment of this shape for the first time: then most of its time is compilation."""
        compiled_shapes, shape = self.trainer.compiled_shapes, tuple(leaf.shape for leaf in jax.tree.leaves(policy))
        first = shape not in compiled_shapes
        compiled_shapes.add(shape)
        return first

    def _update_progress(self, record, loss):
        if self.progress is None and time.monotonic() - self.since > QUIET:
            self.progress = Progress(max(record['steps']), start=record['step'], label=self.name)
        elif self.progress is not None:
            self.progress.update(self.trainer.settings.segment, loss=f'{loss.mean():.3f}')

    def checkpoint(self, state: step.State, policy: Policy, record: dict) -> None:
        """Saves a checkpoint of an unfinished fit."""
        self.store.checkpoints(self.name).save(record['step'], (state, policy), record)

    def finish(self, state: step.State, policy: Policy, record: dict) -> Fit:
        """Saves the Fit in the store and returns it."""
        if self.progress is not None:
            self.progress.close()
        self.store.save(self.name, {'params': state.trained, 'policy': policy}, record)
        return Fit(params=state.trained, policy=policy, record=record)
