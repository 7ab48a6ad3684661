"""plan: from sizes and a Gram matrix to what to do with each source, in numbers a person can read."""
import dataclasses
from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import ArrayLike, Float, Float64, Num
from matplotlib.figure import Figure
from scipy.special import stdtrit

from transfer_jax.objective import predicted_error
from transfer_jax.quantities import transfer_quantities
from transfer_jax.runtime.counts import counted
from transfer_jax.solver.solution import check
from transfer_jax.weights import source_weights

CONFIDENT = 0.95  # probability that an interval aims at


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What each source is worth to one target. Arrays are numpy's, [K] in the order of `names`.

    weights: of UOWQ; quantities: of OTQMS; their intervals [K, 2] are None without replicates. variance: 1 / N_k; bias: G_kk; both in
    units of F, like the errors. errors: predicted F of 'target only', 'all sources', 'OTQMS' and 'UOWQ'. worth: how many more target
    samples the weighted sources are worth; worth_interval: two of them, or None.
    """
    names: tuple
    target_size: float
    source_sizes: Float64[np.ndarray, ' k']
    weights: Float[np.ndarray, ' k']
    weight_intervals: Float[np.ndarray, 'k 2'] | None
    quantities: Float[np.ndarray, ' k']
    quantity_intervals: Float[np.ndarray, 'k 2'] | None
    variance: Float64[np.ndarray, ' k']
    bias: Float[np.ndarray, ' k']
    errors: dict
    worth: float
    worth_interval: Float[np.ndarray, ' 2'] | None

    def __str__(self):
        """A table of the sources, and one of the policies."""
        width = max(6, *(len(name) for name in self.names))
        lines = [f'{"source":<{width}} {"samples":>9} {"weight":>8} {"95 %":>15} {"quantity":>9} {"95 %":>15} '
                 f'{"variance":>10} {"bias":>10}']
        for k, name in enumerate(self.names):
            of_weight = '' if self.weight_intervals is None else '{:.3f} to {:.3f}'.format(*self.weight_intervals[k])
            of_quantity = '' if self.quantity_intervals is None else '{:.0f} to {:.0f}'.format(*self.quantity_intervals[k])
            lines.append(f'{name:<{width}} {self.source_sizes[k]:>9.0f} {self.weights[k]:>8.3f} {of_weight:>15} {self.quantities[k]:>9.0f} '
                         f'{of_quantity:>15} {self.variance[k]:>10.3g} {self.bias[k]:>10.3g}')
        interval = '' if self.worth_interval is None else ' ({:.0f} to {:.0f})'.format(*self.worth_interval)
        lines += ['', f'The sources are worth {self.worth:.0f}{interval} more target samples; there are {self.target_size:.0f}.', '',
                  f'{"policy":<12} {"predicted F":>12} {"of target only":>15}']
        ratios = self._over_target_only()
        return '\n'.join(lines + [f'{name:<12} {value:>12.4g} {ratios[name]:>15.3f}' for name, value in self.errors.items()])

    def _over_target_only(self):
        """Predicted errors over target-only's; 0 for all others where the target has no samples."""
        alone = self.errors['target only']
        return {name: value / alone if np.isfinite(alone) else float(name == 'target only') for name, value in self.errors.items()}

    def plot(self):
        """A matplotlib figure: weights and shares of samples with their intervals, and the policies' predicted errors."""
        figure = Figure(figsize=(10, 3.2), layout='constrained')
        left, middle, right = figure.subplots(1, 3)
        rows, max_counts = np.arange(len(self.names)), np.maximum(self.source_sizes, 1)
        around = lambda value, intervals: None if intervals is None else np.abs(intervals.T - value)
        left.barh(rows, self.weights, xerr=around(self.weights, self.weight_intervals), color='#4878a8')
        left.set(title='weight (UOWQ)', yticks=rows, yticklabels=self.names)
        shares = None if self.quantity_intervals is None else self.quantity_intervals / max_counts[:, None]
        middle.barh(rows, self.quantities / max_counts, xerr=around(self.quantities / max_counts, shares), color='#8a6fa8')
        middle.set(title='share of samples (OTQMS)', yticks=rows, yticklabels=[''] * len(rows), xlim=(0, 1))
        right.barh(list(self.errors), list(self._over_target_only().values()), color='#6a9a6a')
        right.set(title='predicted error over target only')
        for axes in (left, middle, right):
            axes.invert_yaxis()
        return figure


def plan(target_size: Num[ArrayLike, ''], source_sizes: Num[ArrayLike, ' k'] | Sequence[float], gram: Float[ArrayLike, 'k k'], *,
         names: Sequence[str] | None = None, replicates: Float[ArrayLike, 'r k k'] | None = None) -> Plan:
    """The Plan of one problem: N0, N [K] and gram [K, K], best debiased (transfer_jax.debias).

    names: of the sources. replicates: [R, K, K] of gram_uncertainty, for intervals by the jackknife; where gram is debiased, so must they
    be: debias_gram takes all R at once, with gram's own arguments. Raises UserError where the problem cannot be solved, ValueError where
    shapes do not go together.
    """
    sizes, gram = np.asarray(source_sizes, float), np.asarray(gram)
    names = tuple(f'source {k}' for k in range(len(sizes))) if names is None else tuple(map(str, names))
    if sizes.ndim != 1 or np.ndim(target_size) or (replicates is not None and (np.ndim(replicates) != 3 or len(replicates) < 2)):
        raise ValueError(f'one target size, sizes [K] and replicates [R, K, K] with R > 1 make a plan; got {np.shape(target_size)}, '
                         f'{sizes.shape} and {None if replicates is None else np.shape(replicates)}')
    if len(names) != len(sizes):
        raise ValueError(f'{counted(len(names), "name")} for {counted(len(sizes), "source")}')
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f'names has {twice[0]!r} twice; a row of a plan is found by its name')
    weights, quantities = (jax.device_get(check(solve(target_size, sizes, gram))) for solve in (source_weights, transfer_quantities))
    alone, everything = (float(predicted_error(target_size, n, gram)) for n in (0 * sizes, sizes))
    worth = float(weights.effective_sizes.sum())
    weight_intervals = quantity_intervals = worth_interval = None
    if replicates is not None:
        many_weights, many_quantities = (jax.device_get(check(solve(target_size, sizes, replicates)))
                                         for solve in (source_weights, transfer_quantities))
        weight_intervals = interval(weights.weights, many_weights.weights)
        worth_interval = interval(worth, many_weights.effective_sizes.sum(-1))
        quantity_intervals = np.minimum(interval(quantities.quantities, many_quantities.quantities), sizes[:, None])
    errors = {'target only': alone, 'all sources': everything, 'OTQMS': float(quantities.error), 'UOWQ': float(weights.error)}
    return Plan(names=names, target_size=float(target_size), source_sizes=sizes, weights=weights.weights,
                weight_intervals=weight_intervals, quantities=quantities.quantities, quantity_intervals=quantity_intervals,
                variance=np.divide(1, sizes, out=np.full(len(sizes), np.inf), where=sizes > 0),
                bias=np.diagonal(gram), errors=errors, worth=worth, worth_interval=worth_interval)


def interval(value: ArrayLike, replicates: Float[ArrayLike, 'r ...']) -> Float[np.ndarray, '... 2']:
    """The 95 % interval [..., 2] of a value [...] that is not below 0, by the jackknife from its R replicates [R, ...].

    value minus and plus t se, se^2 = (R - 1) / R sum (replicate - mean)^2, t Student's with R - 1 degrees of freedom.
    """
    replicates = np.asarray(replicates)
    count = len(replicates)
    error = np.sqrt((count - 1) / count * np.sum((replicates - replicates.mean(0)) ** 2, 0))
    half = stdtrit(count - 1, (1 + CONFIDENT) / 2) * error
    return np.stack([np.maximum(value - half, 0), value + half], -1)
