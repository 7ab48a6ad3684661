"""ExactLab: a Lab of a linear model whose fits are solved to their optimum, each with a prior that folds of the target choose."""
import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from transfer_jax.experiment.lab import products
from transfer_jax.experiment.lab.equations import Equations
from transfer_jax.experiment.lab.folds import GLOBAL_WEIGHTS
from transfer_jax.experiment.lab.lab import Lab
from transfer_jax.experiment.lab.priors import nearest, solve_path
from transfer_jax.experiment.linear.lbfgs import Minimum
from transfer_jax.experiment.training.fit import Fit, is_of
from transfer_jax.experiment.training.policy import Policy
from transfer_jax.runtime.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExactLab(Lab):
    """A Lab without steps: a fit is the optimum of its policy's objective. priors: the path, from strong to weak.

    Where the target has folds, a fit's prior is that of a path of fits on the folds (priors.solve_path), with all sources at one weight:
    the nearest of GLOBAL_WEIGHTS to the policy's mean weight of a source's sample. So the choice is made once for every seed and weight.
    The last fit of a policy whose sources differ in weight has a path at its own weights. Without folds it is the trainer's prior.
    """
    priors: tuple[float, ...]

    @functools.cached_property
    def equations(self) -> Equations:
        """The rows of all domains as the solver takes them."""
        return Equations(self)

    def init_params(self) -> Any:
        """Parameters at step 0 [S, ...]: zeros."""
        return self.equations.to_params(np.zeros((len(self.classes or '1'), len(self.splits), self.equations.width)))

    def train_outputs(self, params: Any) -> np.ndarray:
        """Outputs [S, F, N0, C] of parameters [S, F, ...] on each seed's training rows of the target."""
        rows, _ = self.equations.rows_of(self.target, np.float64)
        theta = [self.equations.to_theta(jax.tree.map(lambda x, s=s: x[s], params)) for s in range(len(self.splits))]
        return np.stack([np.moveaxis(rows.take(train).product(one), 0, 2) for train, one in zip(self.train, theta, strict=True)])

    def outputs(self, params: Any, features: bool = False) -> np.ndarray:
        """Outputs [S, n, C] of parameters [S, ...] on all the target's rows."""
        return np.moveaxis(self.equations.rows_of(self.target, np.float32)[0].product(self.equations.to_theta(params, np.float32)), 0, 2)

    def losses(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Losses [S, n] of outputs [S, n, C] and labels [S, n]."""
        return products.losses(outputs, labels, self.classes and len(self.classes))

    def raw_gram(self, at: Any, target: Any, sources: Any, folds: Any, *, kind: str, d: int) -> tuple[jax.Array, jax.Array]:
        """measure.raw_gram in closed form: outputs are linear in the parameters."""
        one = lambda params: self.train_outputs(jax.tree.map(lambda x: np.asarray(x)[:, None], params))[:, 0]
        parts = one(at), one(target), self.train_outputs(sources), [None] * len(self.splits) if folds is None else self.train_outputs(folds)
        grams = [products.raw_gram(*of_seed, self.classes and len(self.classes), d=d) for of_seed in zip(*parts, strict=True)]
        return tuple(jnp.asarray(np.stack(values), jnp.float32) for values in zip(*grams, strict=True))

    def fit(self, name: str, policy: Policy, *, controller: Callable[[Any, Policy, int], Policy] | None = None,
            rows: np.ndarray | None = None, times: float = 1.0, prior: np.ndarray | None = None) -> Fit:
        """The Fit of a policy [L, D] for L replicas, as Lab.fit, at a prior [L], prior_of's if None; times has no meaning without steps.

        A controller decides control.decisions times, each time at the optimum under its last decision; all but the last are loose.
        """
        each = len(policy.weights) // len(self.splits)
        start = jax.tree.map(lambda x: np.repeat(x, each, 0), self.init_params())
        record = self.store.record(name)
        if record is not None:
            tree = self.store.load(name, {'params': start, 'policy': policy})
            if is_of(tree['policy'], record, policy, controller):
                return Fit(params=jax.tree.map(np.asarray, tree['params']), policy=jax.tree.map(jnp.asarray, tree['policy']), record=record)
        params, policy, record = self._decide_and_solve(name, start, policy, controller, rows, prior)
        self.store.save(name, {'params': params, 'policy': policy}, record)
        return Fit(params=params, policy=policy, record=record)

    def _decide_and_solve(self, name, params, policy, controller, rows, given):
        """(parameters [L, ...], last policy, record)."""
        record = {'step': 0, 'history': [], 'loss': [], 'seconds': 0.0, 'compile_seconds': 0.0, 'control_seconds': 0.0}
        theta, last = None, 0 if controller is None else self.control.decisions - 1
        for number in range(last + 1):
            began = time.perf_counter()
            if controller is not None:
                policy = jax.tree.map(jnp.asarray, controller(params, policy, number))
                plain = {key: np.asarray(getattr(policy, key)).tolist() for key in ('weights', 'quantities')}
                record = {**record, 'history': [*record['history'], {'step': number, **plain}]}
            decided = time.perf_counter()
            choose = self.own_prior if number == last and rows is None else self.prior_of
            prior = choose(policy) if given is None else given
            minimum = self.equations.solve(policy, prior, rows=rows, warm=theta,
                                           loose=number < last or name.startswith('trial'))
            check_converged(name, minimum, prior)
            theta, params = minimum.theta, self.equations.to_params(minimum.theta)
            record = {**record, 'step': number + 1, 'prior': prior.tolist(), 'iterations': minimum.iterations.tolist(),
                      'control_seconds': record['control_seconds'] + decided - began,
                      'seconds': record['seconds'] + time.perf_counter() - decided}
        return params, policy, {**record, 'drawn': np.asarray(policy.sample_count()).astype(int).tolist()}

    def prior_of(self, policy: Policy) -> np.ndarray:
        """The prior [L] of each replica of a policy [L, D]; without the target that of the target alone, times weights over N0.

        So a ridge pulls the fits that G compares alike: of a source of the target's own law the expected fit is the target's.
        """
        if self.folds is None:
            return np.full(len(policy.weights), self.trainer.settings.prior)
        weights, quantities = (self.of_sources(x) for x in (policy.weights, policy.quantities))
        total, with_target = np.sum(weights * quantities, 1), np.asarray(policy.weights[:, self.target]) > 0
        seed = np.repeat(np.arange(len(self.splits)), len(total) // len(self.splits))
        row = np.where(with_target, nearest(total / self.sizes.sum(), GLOBAL_WEIGHTS), 0)
        best = {number: self.choose_prior(GLOBAL_WEIGHTS[number]) for number in np.unique(row)}
        prior = np.array([best[number][s] for number, s in zip(row, seed, strict=True)])
        return np.where(with_target, prior, prior * total / self.target_size)

    def own_prior(self, policy: Policy) -> np.ndarray:
        """The prior [L] of prior_of, but of a path at the policy's own weights where its sources differ in them, and there are folds."""
        parts = np.asarray(self.of_sources(policy.weights) * self.of_sources(policy.quantities) / self.sizes)
        even = np.ptp(parts, axis=1) <= 1e-3 * parts.max(1)
        if self.folds is None or len(parts) != len(self.splits) or even.all() or not np.all(policy.weights[:, self.target] > 0):
            return self.prior_of(policy)
        return np.asarray(self.priors)[np.asarray(solve_path(self, *self.folds.without(policy))['place'])]

    def choose_prior(self, weight: float) -> np.ndarray:
        """The strongest prior [S] of the path with a loss on folds within one standard error of the smallest, sources at this weight."""
        return np.asarray(self.priors)[self._place(weight)]

    def _place(self, weight):
        """The number [S] of that prior in the path; of the smallest loss, where the store has no other."""
        path = self._path(weight)
        return np.asarray(path.get('place', np.argmin(path['losses'], 0)))

    def fold_losses(self, weight: float) -> np.ndarray:
        """Mean loss [P, S] on the target's training rows, each by the fit without its fold, for every prior of the path."""
        return np.asarray(self._path(weight)['losses'])

    def global_seconds(self) -> float:
        """Seconds of the fits behind global_losses."""
        return float(sum(self._path(weight)['seconds'] for weight in GLOBAL_WEIGHTS))

    def _path(self, weight):
        """{losses [P, S], place [S] of the chosen prior, seconds}, from the memo or the store if they are there."""
        name = f'path_{weight:g}'

        def compute():
            record = self.store.record(name) or solve_path(self, *self.folds.policy(weight))
            self.store.save(name, None, record)
            return record
        return self.once(name, compute)

    def global_losses(self) -> np.ndarray:
        """Mean loss [W, S] on folds for every global weight, each at its chosen prior."""
        return np.stack([np.take_along_axis(self.fold_losses(weight), self._place(weight)[None], 0)[0] for weight in GLOBAL_WEIGHTS])


def check_converged(name: str, minimum: Minimum, prior: np.ndarray) -> None:
    """Raises UserError where a fit has no optimum that was reached, as that of separable classes without a prior."""
    if not minimum.converged.all():
        replica = int(np.argmin(minimum.converged))
        raise UserError(f'fit {name}: replica {replica} has not reached its optimum after {minimum.iterations[replica]} iterations, at the '
                        f'prior {prior[replica]:g}; take stronger ones (config.train.prior, config.train.priors), or look for extreme '
                        'features')
