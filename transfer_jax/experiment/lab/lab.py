"""Lab: a Problem with the fits that methods share; a finished fit is never trained again."""
import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from transfer_jax.debias import debias_gram
from transfer_jax.evidence import COMMON_BIAS
from transfer_jax.experiment.lab import measure
from transfer_jax.experiment.lab.folds import Folds, assign
from transfer_jax.experiment.lab.measure import Measurement
from transfer_jax.experiment.lab.problem import Problem
from transfer_jax.experiment.training import policy as policies
from transfer_jax.experiment.training.draws import Replicas
from transfer_jax.experiment.training.fit import Fit, fit
from transfer_jax.experiment.training.policy import Policy
from transfer_jax.fisher import dimension
from transfer_jax.runtime.store import Store


@dataclasses.dataclass(frozen=True)
class Control:
    """Of a dynamic method: the number of decisions in a fit, and the part in (0, 1] of the way to the new policy."""
    decisions: int
    damping: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lab(Problem):
    """A Problem and its fits, of which all seeds run side by side.

    epochs, min_steps: a fit's steps are that many passes over the samples that take part, and at least min_steps. store: of the fits;
    stop.requested: ends a fit early. max_folds: of the target, see folds.assign. trunk_trained: whether training changes the model's
    features, or the head alone. budget: part of all source samples' cost that the method with a budget may spend. patience: seconds between
    checkpoints.
    """
    store: Store
    stop: Any
    epochs: float
    min_steps: int
    control: Control
    max_folds: int
    trunk_trained: bool
    budget: float
    patience: float = 60.0
    memo: dict = dataclasses.field(default_factory=dict)  # {name: result} of fits and measurements in this process

    def once(self, name: str, compute: Callable[[], Any]) -> Any:
        """compute(), from the memo after the first call with this name: a fit is neither trained nor loaded twice."""
        if name not in self.memo:
            self.memo[name] = compute()
        return self.memo[name]

    def init_params(self) -> Any:
        """Parameters at step 0 [S, ...]."""
        return self.once('init_params', lambda: self.trainer.init_params(self.seeds))

    def count_params(self) -> int:
        """d: the number of trained parameters."""
        return self.once('count_params', lambda: dimension(jax.tree.map(lambda x: x[0], self.init_params())))

    def fit(self, name: str, policy: Policy, *, controller: Callable[[Any, Policy, int], Policy] | None = None,
            rows: np.ndarray | None = None, times: float = 1.0) -> Fit:
        """The Fit of a policy [L, D] for L replicas: the seeds, or the same number of replicas for each of them, one seed after the other.

        rows [L, R]: the target's rows that may be drawn, its training rows if None. controller as in training.fit. times: a factor on the
        usual number of steps.
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

    def fit_alone(self) -> Fit:
        """The Fit to the target alone [S]."""
        return self.once('target_only', lambda: self.fit('target_only', self.policy(0)))

    def fit_singles(self) -> Fit:
        """The Fit to each source alone, theta_k: replicas [S K], all sources of a seed after each other."""
        return self.once('each_source', self._fit_singles)

    def _fit_singles(self):
        own = np.eye(len(self.sources), dtype=np.float32)
        parts = [self.policy(row, target=0.0) for row in own]
        return self.fit('each_source', jax.tree.map(lambda *x: jnp.stack(x, 1).reshape(-1, x[0].shape[-1]), *parts))

    def fit_middle(self) -> Fit:
        """The Fit in which the target counts as much as all sources together [S]: where J is taken first."""
        return self.once('middle', lambda: self.fit('middle', self.policy(self.target_size / self.sizes / len(self.sizes))))

    @functools.cached_property
    def folds(self) -> Folds | None:
        """The Folds of the target's training rows; None where there are fewer than two."""
        fold = assign(self.labels[self.train], self.max_folds, stratified=self.classes is not None)
        return None if fold is None else Folds(self, fold)

    def global_losses(self) -> np.ndarray:
        """Mean loss [W, S] on folds of the target for every one of GLOBAL_WEIGHTS at which all sources count."""
        return np.stack([np.asarray(self.folds.loss(fold_fits)) for fold_fits in self.folds.fit_global().values()])

    def global_seconds(self) -> float:
        """Seconds of training of the fits behind global_losses."""
        return float(sum(fold_fits.record['seconds'] for fold_fits in self.folds.fit_global().values()))

    def fits_of_noise(self) -> tuple[Fit, ...]:
        """(Fit of theta_0, where G starts from, Fit on folds that measures its noise, if there are folds)."""
        return (self.fit_alone(), *(() if self.folds is None else (self.folds.fit_alone(),)))

    def source_features(self) -> np.ndarray:
        """Features [S, K, n, D] of the sources' fits on all the target's rows; outputs, where the head alone is trained."""
        out = self.outputs(self.fit_singles().params, features=self.trunk_trained)
        return out.reshape(len(self.splits), len(self.sources), *out.shape[1:])

    def measure_middle(self) -> Measurement:
        """The Measurement at the middle fit, with a shortfall of 1."""
        shortfall = jnp.ones(len(self.splits))
        return self.once('measure_middle', lambda: jax.block_until_ready(self.measure(self.fit_middle().params, shortfall)))

    def measure_sources(self) -> tuple[Measurement, float]:
        """(Measurement at the middle fit with the shortfall of the folds, seconds of its products and solving without compilation)."""
        return self.once('measure_sources', self._measure_sources)

    def _measure_sources(self):
        first, began = self.measure_middle(), time.perf_counter()
        jax.block_until_ready(self.measure(self.fit_middle().params, first.shortfall))
        seconds = time.perf_counter() - began
        return (first if self.folds is None else first.replace(shortfall=self.folds.measure_shortfall())), seconds

    def measure(self, at: Any, shortfall: jax.Array, target: Any = None) -> Measurement:
        """The Measurement of this target and its sources, with J at parameters [S, ...], for a shortfall [S].

        target: the parameters that G starts from, those of fits_of_noise if None.
        """
        alone, *on_folds = self.fits_of_noise()
        folds = self.by_seed(on_folds[0].params) if on_folds else None
        target = alone.params if target is None else target
        kind = 'gauss_newton' if self.classes is None else 'true'
        singles, d = self.by_seed(self.fit_singles().params), self.count_params()
        raw, noise = self.raw_gram(at, target, singles, folds, kind=kind, d=d)
        sizes = jnp.asarray(self.sizes, jnp.float32)
        gram = debias_gram(raw, float(self.target_size), sizes, d)
        return Measurement(raw=raw, gram=gram, noise=noise, shortfall=shortfall, target_size=jnp.float32(self.target_size),
                           source_sizes=sizes, common=COMMON_BIAS)

    def raw_gram(self, at: Any, target: Any, sources: Any, folds: Any, *, kind: str, d: int) -> tuple[jax.Array, jax.Array]:
        """measure.raw_gram on the target's training rows."""
        return measure.raw_gram(self.trainer.model.apply, self.trainer.frozen, at, target, sources, folds, self.inputs(self.train),
                                kind=kind, target_size=self.target_size, d=d)
