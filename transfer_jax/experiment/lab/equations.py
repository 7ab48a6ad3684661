"""Equations: the fits of a Lab as weighted linear fits: which row of which domain counts how much in which of them."""
import functools
from typing import Any

import jax
import numpy as np

from transfer_jax.experiment.linear.fits import LOOSE, TIGHT, fit_linear
from transfer_jax.experiment.linear.lbfgs import Minimum
from transfer_jax.experiment.linear.objective import Block
from transfer_jax.experiment.linear.rows import Rows, make_rows
from transfer_jax.experiment.training.draws import begins
from transfer_jax.experiment.training.policy import Policy
from transfer_jax.experiment.training.prepare import host_rows
from transfer_jax.runtime.progress import Stopped

_many_begins = jax.jit(jax.vmap(begins, (None, 0)))


class Equations:
    """The rows of a Lab's domains, prepared once, and the solution of fits to them; parameters theta [C, L, D], the bias last."""

    def __init__(self, lab: Any):
        self.lab = lab
        self._prepared = {}

    def solve(self, policy: Policy, prior: np.ndarray, *, rows: np.ndarray | None = None, warm: np.ndarray | None = None,
              loose: bool = False, only: np.ndarray | None = None) -> Minimum:
        """The Minimum of a policy [L, D] with a prior [L]; rows [L, R]: of the target, all training rows if None.

        loose: in float32, for the loss on other rows. Fits that are one problem, such as a source alone for all seeds, are solved once.
        only [L]: the fits that are wanted; the others' theta has no meaning.
        Raises Stopped where the Lab should stop.
        """
        if self.lab.stop.requested:
            raise Stopped
        weights, quantities = (np.asarray(x, np.float64) for x in (policy.weights, policy.quantities))
        seed = np.repeat(np.arange(len(self.lab.splits)), len(weights) // len(self.lab.splits))
        own = np.ones((len(seed), self.lab.target_size))
        if rows is not None:
            own = np.stack([np.isin(self.lab.train[s], some) for s, some in zip(seed, rows, strict=True)]).astype(float)
        own *= weights[:, [self.lab.target]]
        factors = None if policy.class_factors is None else np.asarray(policy.class_factors, np.float64)
        if factors is not None:
            own *= np.take_along_axis(factors[:, self.lab.target], self.lab.labels[self.lab.train[seed]], 1)
        sources = list(self.lab.sources)
        whole = (own == 0).all(1) & ((quantities == self._sizes) | (weights == 0))[:, sources].all(1)
        parts = [np.where(whole, -1, seed), prior, weights, np.where(weights > 0, quantities, 0), own]
        keys = np.column_stack(parts if factors is None else [*parts, factors.reshape(len(seed), -1)])
        stand_in = np.arange(len(keys)) if only is None else np.where(only, np.arange(len(keys)), np.argmax(only))
        _, first, back = np.unique(keys[stand_in], axis=0, return_index=True, return_inverse=True)
        first = stand_in[first]
        blocks, moments = self._blocks(weights[first], quantities[first], seed[first], own[first], np.float32 if loose else np.float64,
                                       None if factors is None else factors[first])
        start = self.to_theta(self.lab.init_params())[:, seed[first]]
        result = fit_linear(tuple(blocks), self.lab.classes and len(self.lab.classes), prior[first], start,
                            None if warm is None else warm[:, first], moments=moments, tolerance=LOOSE if loose else TIGHT)
        return Minimum(result.theta[:, back], result.iterations[back], result.converged[back])

    def _blocks(self, weights, quantities, seed, own, dtype, factors=None):
        """(Blocks, their moments) of distinct fits: each source's rows, and each seed's rows of the target."""
        blocks, moments = [], []
        for source in self.lab.sources:
            lanes = np.flatnonzero(weights[:, source] * quantities[:, source] > 0)
            if len(lanes):
                rows, moment = self.rows_of(source, dtype)
                counts = self._counts(source, quantities[lanes, source], seed[lanes])
                labels = np.asarray(self.lab.domains[source].labels)
                counts = counts if factors is None else counts * factors[lanes, source][:, labels]
                blocks.append(Block(rows, labels, lanes, weights[lanes, source][:, None] * counts))
                moments.append(moment)
        target, moment = self.rows_of(self.lab.target, dtype)
        for number in np.unique(seed[(own > 0).any(1)]):
            lanes, train = np.flatnonzero((seed == number) & (own > 0).any(1)), self.lab.train[number]
            blocks.append(Block(target.take(train), self.lab.labels[train], lanes, own[lanes]))
            moments.append(moment)
        return blocks, moments

    def rows_of(self, domain: int, dtype: type) -> tuple[Rows, np.ndarray]:
        """(Rows, their moments in float64) of all examples of a domain."""
        if (domain, np.float64) not in self._prepared:
            scaling = self.lab.scaling
            x = host_rows(self.lab.domains[domain].inputs, scaling.rows)
            wide = lambda value: np.broadcast_to(np.asarray(value), x.shape[1:]).reshape(-1)
            rows = make_rows(x if x.ndim == 2 else x.reshape(len(x), -1), wide(scaling.mean), wide(scaling.scale))
            self._prepared[domain, np.float64] = rows, rows.moments()
        if (domain, dtype) not in self._prepared:
            rows, moments = self._prepared[domain, np.float64]
            self._prepared[domain, dtype] = rows.astype(dtype), moments
        return self._prepared[domain, dtype]

    @functools.cached_property
    def _sizes(self):
        return np.array([len(domain) for domain in self.lab.domains])

    @functools.cached_property
    def _begins(self):
        return np.asarray(_many_begins(self.lab.trainer.pool, self.lab.seeds))

    def _counts(self, source, quantities, seed):
        """1 where a source's row takes part in a fit [A, n]: the first so many in the seed's own order."""
        size, start = self._sizes[source], int(self.lab.trainer.pool.starts[source])
        if (quantities == size).all():
            return np.ones((len(seed), size))
        order = np.asarray(self.lab.trainer.pool.order)[start:start + size]
        place = np.empty(size, int)
        place[order] = np.arange(size)
        return ((place - self._begins[seed, source][:, None]) % size < np.floor(quantities)[:, None]).astype(float)

    @property
    def width(self) -> int:
        """D."""
        return self.rows_of(self.lab.target, np.float64)[0].shape[1]

    def to_theta(self, params: Any, dtype: type = np.float64) -> np.ndarray:
        """theta [C, L, D] of a linear model's parameters [L, ...]."""
        kernel, bias = (np.asarray(params['head'][name], dtype) for name in ('kernel', 'bias'))
        return np.moveaxis(np.concatenate([kernel, bias[:, None]], 1), 2, 0)

    def to_params(self, theta: np.ndarray) -> Any:
        """The linear model's parameters [L, ...], float32, of theta."""
        both = np.moveaxis(theta, 0, 2).astype(np.float32)
        return {'head': {'kernel': both[:, :-1], 'bias': both[:, -1]}}
