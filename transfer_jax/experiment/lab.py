"""Lab: one target with its sources and seeds, and the fits that methods share; a finished fit is never trained again."""
import dataclasses
import functools
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from transfer_jax.debias import debias_gram
from transfer_jax.experiment import measure
from transfer_jax.experiment.folds import Folds, assign
from transfer_jax.experiment.measure import Measurement
from transfer_jax.experiment.training import policy as policies
from transfer_jax.experiment.training.draws import Replicas
from transfer_jax.experiment.training.fit import fit
from transfer_jax.experiment.training.policy import Policy
from transfer_jax.experiment.training.prepare import Scaling, normalise
from transfer_jax.experiment.training.trainer import Trainer
from transfer_jax.fisher import dimension

EVALUATED = 256  # rows at once


@dataclasses.dataclass(frozen=True)
class Control:
    """Of a dynamic method: the number of decisions in a fit, and the part in (0, 1] of the way to the new policy."""
    decisions: int
    damping: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lab:
    """A target domain, its sources, and S splits of the target's rows; fits of all seeds run side by side.

    epochs, min_steps: a fit's steps are that many passes over the samples that take part, and at least min_steps. target, sources:
    numbers of domains; splits: one transfer_jax.experiment.data.splits.Split a seed; first_seed: the number of the first.
    store: the Store of the fits. trunk_trained: whether training changes the model's features, or the head alone. budget: part of all
    source samples' cost that the method with a budget may spend; costs: of one sample of each source. patience: seconds between
    checkpoints.
    """
    trainer: Trainer
    store: Any
    stop: Any
    target: int
    sources: tuple[int, ...]
    splits: tuple
    first_seed: int
    scaling: Scaling
    epochs: float
    min_steps: int
    control: Control
    max_folds: int
    trunk_trained: bool
    budget: float
    costs: tuple[float, ...]
    patience: float = 60.0
    memo: dict = dataclasses.field(default_factory=dict)  # {name: result} of the fits and measurements that have been computed

    def once(self, name, compute):
        """compute(), from the memo after the first call with this name: a fit is neither trained nor loaded twice."""
        if name not in self.memo:
            self.memo[name] = compute()
        return self.memo[name]

    @property
    def domains(self):
        """All domains of the run."""
        return self.trainer.domains.domains

    @property
    def classes(self):
        """Names of the classes, or None for a regression."""
        return self.trainer.domains.classes

    @functools.cached_property
    def seeds(self):
        """Numbers of the seeds [S]."""
        return jnp.arange(self.first_seed, self.first_seed + len(self.splits), dtype=jnp.uint32)

    @functools.cached_property
    def train(self):
        """The target's training rows [S, N0]."""
        return np.stack([split.train for split in self.splits])

    @property
    def target_size(self):
        """N0."""
        return self.train.shape[1]

    @functools.cached_property
    def sizes(self):
        """N [K]."""
        return np.array([len(self.domains[source]) for source in self.sources])

    @property
    def labels(self):
        """The target's labels [n]."""
        return np.asarray(self.domains[self.target].labels)

    def init_params(self):
        """Parameters at step 0 [S, ...]."""
        return self.once('init_params', lambda: self.trainer.init_params(self.seeds))

    def count_params(self):
        """d: how many parameters are trained."""
        return self.once('count_params', lambda: dimension(jax.tree.map(lambda x: x[0], self.init_params())))

    def policy(self, weights, quantities=None, target=1.0):
        """The Policy [S, D] of weights and quantities [S, K] (all samples if None) of the sources, and of the target's weight."""
        quantities = self.sizes if quantities is None else quantities
        return Policy(weights=self._everywhere(target, weights), quantities=self._everywhere(self.target_size, quantities))

    def _everywhere(self, own, rest):
        """[S, D] float32: own at the target, rest [S, K] at the sources, 0 elsewhere."""
        out = np.zeros((len(self.splits), len(self.domains)), np.float32)
        out[:, self.target] = own
        out[:, list(self.sources)] = rest
        return jnp.asarray(out)

    def of_sources(self, values):
        """The sources' part [..., K] of values [..., D]."""
        return np.asarray(values)[..., list(self.sources)]

    def fit(self, name, policy, *, controller=None, rows=None, times=1.0):
        """The Fit of a policy [L, D] for L replicas: the seeds, or the same number of replicas for each of them, one seed after the other.

        rows [L, R]: what may be drawn of the target, its training rows if None. controller as in training.fit. times: of the usual steps.
        """
        each = len(policy.weights) // len(self.splits)
        repeat = lambda x: jnp.repeat(x, each, 0)
        replicas = Replicas(seed=repeat(self.seeds), target=jnp.full(len(policy.weights), self.target, jnp.int32),
                      rows=jnp.asarray(np.repeat(self.train, each, 0) if rows is None else rows, jnp.int32))
        segment, batch = self.trainer.settings.segment, self.trainer.settings.batch
        plan = lambda policy: policies.steps(policy, epochs=times * self.epochs, batch=batch, min_steps=int(times * self.min_steps))
        every = segment * max(1, int(plan(policy).max()) // segment // self.control.decisions)
        return fit(self.trainer, self.store, name, replicas=replicas, start=jax.tree.map(repeat, self.init_params()), policy=policy,
                   scaling=self.scaling, plan=plan, stop=self.stop, controller=controller, every=every, patience=self.patience)

    def fit_alone(self):
        """The Fit to the target alone [S]."""
        return self.once('target_only', lambda: self.fit('target_only', self.policy(0)))

    def fit_singles(self):
        """The Fit to each source alone, theta_k: replicas [S K], all sources of a seed after each other."""
        return self.once('each_source', self._fit_singles)

    def _fit_singles(self):
        own = np.eye(len(self.sources), dtype=np.float32)
        parts = [self.policy(row, target=0.0) for row in own]
        return self.fit('each_source', jax.tree.map(lambda *x: jnp.stack(x, 1).reshape(-1, x[0].shape[-1]), *parts))

    def fit_middle(self):
        """The Fit in which the target counts as much as all sources together [S]: where J is taken first."""
        return self.once('middle', lambda: self.fit('middle', self.policy(self.target_size / self.sizes / len(self.sizes))))

    @functools.cached_property
    def folds(self):
        """The Folds of the target's training rows; None where there are not two."""
        fold = assign(self.labels[self.train], self.max_folds, stratified=self.classes is not None)
        return None if fold is None else Folds(self, fold)

    def measure_middle(self):
        """The Measurement at the middle fit, with a shortfall of 1."""
        shortfall = jnp.ones(len(self.splits))
        return self.once('measure_middle', lambda: jax.block_until_ready(self.measure(self.fit_middle().params, shortfall)))

    def measure_sources(self):
        """(Measurement at the middle fit with the shortfall of the folds, seconds of its products and solving without compilation)."""
        return self.once('measure_sources', self._measure_sources)

    def _measure_sources(self):
        first, began = self.measure_middle(), time.perf_counter()
        jax.block_until_ready(self.measure(self.fit_middle().params, first.shortfall))
        seconds = time.perf_counter() - began
        return (first if self.folds is None else first.replace(shortfall=self.folds.measure_shortfall())), seconds

    def measure(self, at, shortfall, target=None):
        """The Measurement of this target and its sources, with J at parameters [S, ...], for a shortfall [S].

        target: the parameters that G starts from, those of the fit to the target alone if None.
        """
        folds = None if self.folds is None else self.by_seed(self.folds.fit_alone().params)
        target = self.fit_alone().params if target is None else target
        kind = 'gauss_newton' if self.classes is None else 'true'
        singles, d = self.by_seed(self.fit_singles().params), self.count_params()
        raw, noise = measure.raw_gram(self.apply, at, target, singles, folds, self.inputs(self.train), kind=kind,
                                      target_size=self.target_size, d=d)
        sizes = jnp.asarray(self.sizes, jnp.float32)
        gram = debias_gram(raw, float(self.target_size), sizes, d)
        return Measurement(raw=raw, gram=gram, noise=noise, shortfall=shortfall, target_size=jnp.float32(self.target_size),
                           source_sizes=sizes)

    def by_seed(self, params):
        """Parameters [S, L / S, ...] of replicas [L, ...]."""
        return jax.tree.map(lambda x: x.reshape(len(self.splits), -1, *x.shape[1:]), params)

    def apply(self, params, inputs):
        """Outputs [n, C] of parameters on prepared inputs [n, ...]."""
        return self.trainer.model.apply(params, self.trainer.frozen, inputs)

    def source_features(self):
        """Features [S, K, n, D] of the sources' fits on all the target's rows: what the head takes, or outputs if it alone is trained."""
        out = self.outputs(self.fit_singles().params, features=self.trunk_trained)
        return out.reshape(len(self.splits), len(self.sources), *out.shape[1:])

    def inputs(self, rows, domain=None):
        """Prepared inputs of rows [...] of a domain, the target if None."""
        inputs = jnp.asarray(np.asarray(self.domains[self.target if domain is None else domain].inputs[rows.reshape(-1)]))
        return normalise(inputs, self.scaling).reshape(*rows.shape, *inputs.shape[1:])

    def outputs(self, params, features=False):
        """Outputs [S, n, C] of parameters [S, ...] on all the target's rows, or what the head takes of them."""
        run = self.trainer.model.features if features else self.trainer.model.apply
        one = jax.jit(lambda params, inputs, scaling: jax.lax.map(
            lambda params: run(params, self.trainer.frozen, normalise(inputs, scaling)), params,
            batch_size=self.trainer.settings.replicas))
        inputs = self.domains[self.target].inputs
        cut = range(0, len(inputs), EVALUATED)
        pad = lambda x: np.concatenate([x, np.repeat(x[-1:], EVALUATED - len(x), 0)]) if len(x) < EVALUATED else x
        parts = [np.asarray(one(params, jnp.asarray(pad(np.asarray(inputs[i:i + EVALUATED]))), self.scaling)) for i in cut]
        return np.concatenate(parts, 1)[:, :len(inputs)]
